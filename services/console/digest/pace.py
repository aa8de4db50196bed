"""How often an address may follow links (PURE but for its memory): a window of a minute, bounded in size."""

from collections import OrderedDict, deque

_WINDOW_S = 60.0
_ADDRESSES = 10_000


class Pace:
    """Counts what each address did lately. limit: in a minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def admits(self, address: str, now: float) -> bool:
        """Count one more of an address, and return whether it is within the limit."""
        times = self._times.setdefault(address, deque(maxlen=self._limit))
        self._times.move_to_end(address)
        while len(self._times) > _ADDRESSES:
            self._times.popitem(last=False)
        while times and times[0] <= now - _WINDOW_S:
            times.popleft()
        if len(times) == self._limit:
            return False
        times.append(now)
        return True
