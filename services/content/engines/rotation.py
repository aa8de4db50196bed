"""Which of several addresses of an engine to ask next (PURE).

Owns: `Rotation`: all take their turn; one that failed is put aside for a while that doubles, and then tried by one
message, so that it comes back by itself. If all are aside, all are tried all the same: nobody else can answer.
"""

from collections.abc import Callable, Sequence

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0


class _Place:
    """One address. failures: in a row. aside_until: when it may be tried again."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.failures = 0
        self.aside_until = 0.0


class Rotation:
    """The addresses of one engine, as one process sees them."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._places = [_Place(address) for address in dict.fromkeys(addresses)]
        self._turn = 0

    @property
    def well(self) -> int:
        """How many are not put aside."""
        return sum(not place.failures for place in self._places)

    def order(self, now: float, load: Callable[[str], int] = lambda _address: 0) -> list[str]:
        """Return all addresses, the one to ask first at the beginning; of those that are well, the one with the least
        to do comes first. now: of a clock that never goes back.
        """
        start, self._turn = self._turn, (self._turn + 1) % len(self._places)
        turned = self._places[start:] + self._places[:start]
        ready = sorted((place for place in turned if not place.failures), key=lambda place: load(place.address))
        due = [place for place in turned if place.failures and place.aside_until <= now]
        rest = sorted((place for place in turned if place.failures and place not in due), key=lambda p: p.aside_until)
        for place in due:
            # This message tries it; those that come meanwhile keep to the others.
            place.aside_until = now + _backoff_s(place.failures)
        return [place.address for place in (*due[:1], *ready, *due[1:], *rest)]

    def failed(self, address: str, now: float) -> bool:
        """Put an address aside. Return whether that is news."""
        place = self._place(address)
        place.failures += 1
        place.aside_until = now + _backoff_s(place.failures)
        return place.failures == 1

    def answered(self, address: str) -> bool:
        """Take an address as well again. Return whether that is news."""
        place = self._place(address)
        was_aside, place.failures = place.failures > 0, 0
        return was_aside

    def _place(self, address: str) -> _Place:
        return next(place for place in self._places if place.address == address)


def _backoff_s(failures: int) -> float:
    return min(FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 10), MAX_BACKOFF_S)
