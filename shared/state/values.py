"""Values with lifetimes, in memory (PURE; the time is an argument).

Owns: text by key, each until its end. Bound: so many values; those whose end is nearest go first.
"""

import heapq

from shared.state.port import Entry


class Values:
    """Values, each with the time at which it ends."""

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        self._values: dict[str, tuple[str, float]] = {}
        # The ends in order. Of a value that was replaced or removed, the old end stays until its time.
        self._ends: list[tuple[float, str]] = []

    def get(self, key: str, now_s: float) -> str | None:
        """Return a value whose end has not come."""
        found = self._values.get(key)
        return found[0] if found is not None and found[1] > now_s else None

    def put(self, key: str, value: str, ttl_s: float, now_s: float) -> None:
        """Keep a value for so long, in the place of another one."""
        self._sweep(now_s)
        if key not in self._values:
            while len(self._values) >= self._max_values:
                self._remove_next()
        self._values[key] = (value, now_s + ttl_s)
        heapq.heappush(self._ends, (now_s + ttl_s, key))
        if len(self._ends) > 2 * len(self._values) + 1000:
            self._ends = [(end_s, kept) for kept, (_, end_s) in self._values.items()]
            heapq.heapify(self._ends)

    def add(self, key: str, amount: int, ttl_s: float, now_s: float) -> int:
        """Add to a number, whose end stays; return the sum."""
        found = self._values.get(key)
        if found is None or found[1] <= now_s:
            self.put(key, str(amount), ttl_s, now_s)
            return amount
        total = int(found[0]) + amount
        self._values[key] = (str(total), found[1])
        return total

    def forget(self, key: str, now_s: float) -> bool:
        """Remove a value; return whether its end had not come."""
        found = self._values.pop(key, None)
        return found is not None and found[1] > now_s

    def find(self, prefix: str, limit: int, now_s: float) -> list[Entry]:
        """Return at most so many whose key begins with a prefix, sorted."""
        keys = [key for key, (_, end_s) in self._values.items() if key.startswith(prefix) and end_s > now_s]
        return [Entry(key, self._values[key][0], self._values[key][1] - now_s) for key in heapq.nsmallest(limit, keys)]

    def _sweep(self, now_s: float) -> None:
        """Remove what has ended, a few at a time."""
        for _ in range(4):
            if not self._ends or self._ends[0][0] > now_s:
                return
            self._remove_next()

    def _remove_next(self) -> None:
        end_s, key = heapq.heappop(self._ends)
        found = self._values.get(key)
        if found is not None and found[1] == end_s:
            del self._values[key]
