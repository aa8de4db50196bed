"""What Redis knows of the places that this process holds (PURE).

Owns: the name this process goes by, and what the next beat tells Redis. The process itself knows for certain what it
holds; Redis's figure follows with every `enter` and `leave`, and the beats mend what a lost answer, a flush or a
restart of Redis left wrong. After an outage the process takes a new name: whatever stood under the old one is nobody's,
and all that it holds, also what it took alone, is told under the new one.
"""

from collections.abc import Iterable, Sequence

from shared.state.keys import PROCESSES, places_key
from shared.state.places import Places

# How many keys one beat's script writes at most: a millisecond's work for Redis.
_CHUNK = 500


class Presence:
    """A process as Redis sees it."""

    def __init__(self, name: str, places: Places) -> None:
        self.name = name
        self._places = places
        # Keys of which Redis may hold another figure than this process.
        self._doubtful: set[str] = set()
        self._told: set[str] = set()

    def begin_anew(self, name: str) -> None:
        """Take a new name, under which Redis knows nothing yet."""
        self.name = name
        self._doubtful.clear()
        self._told.clear()

    def doubt(self, keys: Iterable[str]) -> None:
        """Note keys whose figure in Redis may be wrong."""
        self._doubtful.update(keys)

    def chunks(self) -> list[list[str]]:
        """Return the keys of which a beat tells, in portions; there is at least one, for the sign of life."""
        held = self._places.keys()
        # What was told and is no longer held is told once more: its `leave` may have failed between two beats.
        keys = sorted(held | self._told | self._doubtful)
        self._told = held
        return [keys[start : start + _CHUNK] for start in range(0, max(1, len(keys)), _CHUNK)]

    def beat(self, keys: Sequence[str]) -> tuple[list[str], list[str | int]]:
        """Return the keys and arguments of the script BEAT."""
        arguments: list[str | int] = [self.name]
        for key in keys:
            arguments += [self._places.count(key), "=" if key in self._doubtful else ""]
        return [PROCESSES, *[places_key(key) for key in keys]], arguments

    def compare(self, keys: Sequence[str], in_redis: Sequence[int]) -> None:
        """Take Redis's answer to a beat: a figure that differs is written anew by the next beat."""
        for key, count in zip(keys, in_redis, strict=True):
            if count == self._places.count(key):
                self._doubtful.discard(key)
            else:
                self._doubtful.add(key)
