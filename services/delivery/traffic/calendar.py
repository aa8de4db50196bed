"""When those that wait for a hop come by again (PURE; the time is an argument).

Owns: how many come in each second of the next quarter of an hour, exactly, as far as this process sent them to wait;
and which rung of the ladder the next one takes: the shortest on which there is room in the second in which it would
come. So a few come by every five seconds, and 100,000 of them each every quarter of an hour, none of it in a burst.
Bounds: four kilobytes for a hop for which somebody waits, nothing for others; the work per message is a walk over
the rungs.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence

# Where so many wait that the longest rung is too short for the pace, the pace is raised by as much, and by this.
_SPARE = 1.05


class Calendar:
    """The seconds ahead. rungs_s: how long one can wait, ascending."""

    def __init__(self, rungs_s: Sequence[int]) -> None:
        self._rungs_s = rungs_s
        self._size = rungs_s[-1] + 2
        self._coming: array[int] | None = None
        self._second = 0
        self._waiting = 0

    def waiting(self, now: float) -> int:
        """Return how many wait whose time has not come."""
        self._forget_past(int(now))
        return self._waiting

    def add(self, now: float, rung_s: int) -> None:
        """Count one that comes after so many seconds."""
        self._forget_past(int(now))
        if self._coming is None:
            self._coming = array("I", [0]) * self._size
        self._coming[(self._second + rung_s) % self._size] += 1
        self._waiting += 1

    def coming(self, now: float, rung_s: int) -> int:
        """Return how many come in the same second as one who would come after so many seconds."""
        self._forget_past(int(now))
        return self._coming[(self._second + rung_s) % self._size] if self._coming is not None else 0

    def choose(self, now: float, wait_s: float, pace: float, everybody: "Calendar", most: float) -> int:
        """Return the rung on which the next one waits. It is not counted yet.

        wait_s: how long at least, as far as there is such a rung. pace: how many may come per second. everybody: those
        of all hops together, of whom `most` may come per second.
        """
        longest_s = self._rungs_s[-1]
        room = max(1.0, pace, self.waiting(now) * _SPARE / longest_s)
        most = max(most, everybody.waiting(now) * _SPARE / longest_s)
        fitting = bisect_left(self._rungs_s, min(wait_s, longest_s))
        # Where there is no room, some come by in vain before their time: better than many at once at their time.
        for rung_s in (*self._rungs_s[fitting:], *reversed(self._rungs_s[:fitting])):
            if self.coming(now, rung_s) + 1 <= room and everybody.coming(now, rung_s) + 1 <= most:
                return rung_s
        return min(self._rungs_s, key=lambda rung_s: (self.coming(now, rung_s), everybody.coming(now, rung_s)))

    def _forget_past(self, second: int) -> None:
        passed = second - self._second
        if passed <= 0:
            return
        coming = self._coming
        if coming is not None:
            if passed >= self._size:
                self._waiting = 0
            else:
                for past in range(self._second, second):
                    self._waiting -= coming[past % self._size]
                    coming[past % self._size] = 0
            if not self._waiting:
                self._coming = None
        self._second = second
