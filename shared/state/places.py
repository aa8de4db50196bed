"""The places that this process holds (PURE).

Owns: how many places of each key are taken here. Places of one key are alike, so a number per key is all there is to
know. The bound is the caller's: a key is kept while a place of it is taken, and no longer.
"""

from collections.abc import Iterable, Sequence

from shared.state.port import Place


class Places:
    """Places taken, by key."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def enter(self, places: Sequence[Place]) -> Place | None:
        """Take all places, or none: return the first that is full."""
        taken = self._taken
        for number, place in enumerate(places):
            count = taken.get(place.key, 0)
            if count >= place.limit:
                self.leave([earlier.key for earlier in places[:number]])
                return place
            taken[place.key] = count + 1
        return None

    def hold(self, keys: Iterable[str]) -> None:
        """Note places that were granted elsewhere."""
        for key in keys:
            self._taken[key] = self._taken.get(key, 0) + 1

    def leave(self, keys: Iterable[str]) -> None:
        """Give places back; one that is not taken stays so."""
        taken = self._taken
        for key in keys:
            count = taken.get(key, 0)
            if count > 1:
                taken[key] = count - 1
            elif count:
                del taken[key]

    def count(self, key: str) -> int:
        """Return how many places of a key are taken here."""
        return self._taken.get(key, 0)

    def keys(self) -> set[str]:
        """Return the keys of which a place is taken here."""
        return set(self._taken)
