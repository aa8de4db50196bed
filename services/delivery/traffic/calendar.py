"""When those that wait for a hop come by again (PURE; the time is an argument).

Owns: how many come in each second of the next quarter of an hour, exactly, as far as this process sent them to wait,
and of all hops together in each fiftieth of a second; and which rung of the ladder the next one takes: the shortest on
which there is room at the time at which it would come. So a few come by every five seconds, and 100,000 of them each
every quarter of an hour, none of it in a burst: new mail would wait behind what comes at once.
Bounds: four kilobytes for a hop for which somebody waits, nothing for others, and 180 for all hops together; the work
per message is a walk over the rungs.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence

# Where so many wait that the longest rung is too short for the pace, the pace is raised by as much, and by this.
_SPARE = 1.05
# How fine the time of all together is. Two or three that come at once are behind new mail for a few milliseconds.
_MOMENTS_PER_S = 50
_AT_ONCE = 3
# As long as so few wait, they may all come at once.
_FEW = 50


class Calendar:
    """The time ahead. rungs_s: how long one can wait, ascending. per_s: into how many parts a second is divided."""

    def __init__(self, rungs_s: Sequence[int], per_s: int = 1) -> None:
        self._rungs_s = rungs_s
        self._per_s = per_s
        self._size = (rungs_s[-1] + 2) * per_s
        self._coming: array[int] | None = None
        self._part = 0
        self._waiting = 0

    def waiting(self, now: float) -> int:
        """Return how many wait whose time has not come."""
        self._forget_past(now)
        return self._waiting

    def add(self, now: float, rung_s: int) -> None:
        """Count one that comes after so many seconds."""
        self._forget_past(now)
        if self._coming is None:
            self._coming = array("I", [0]) * self._size
        self._coming[(self._part + rung_s * self._per_s) % self._size] += 1
        self._waiting += 1

    def coming(self, now: float, rung_s: int) -> int:
        """Return how many come in the same part of a second as one who would come after so many seconds."""
        self._forget_past(now)
        return self._coming[(self._part + rung_s * self._per_s) % self._size] if self._coming is not None else 0

    def choose(self, now: float, wait_s: float, pace: float, everybody: "Everybody") -> int:
        """Return the rung on which the next one waits. It is not counted yet.

        wait_s: how long at least, as far as there is such a rung. pace: how many may come per second. everybody: those
        of all hops together.
        """
        longest_s = self._rungs_s[-1]
        room = max(1.0, pace, self.waiting(now) * _SPARE / longest_s)
        fitting = bisect_left(self._rungs_s, min(wait_s, longest_s))
        roomy = []
        # Where there is no room, some come by in vain before their time: better than many at once at their time.
        for rung_s in (*self._rungs_s[fitting:], *reversed(self._rungs_s[:fitting])):
            if self.coming(now, rung_s) + 1 <= room and everybody.has_room(now, rung_s):
                if everybody.is_even(now, rung_s):
                    return rung_s
                roomy.append(rung_s)
        if roomy:
            return min(roomy, key=lambda rung_s: everybody.coming_at_once(now, rung_s))
        return min(self._rungs_s, key=lambda rung_s: (self.coming(now, rung_s), everybody.coming_at_once(now, rung_s)))

    def _forget_past(self, now: float) -> None:
        part = int(now * self._per_s)
        passed = part - self._part
        if passed <= 0:
            return
        coming = self._coming
        if coming is not None:
            if passed >= self._size:
                self._waiting = 0
            else:
                for past in range(self._part, part):
                    self._waiting -= coming[past % self._size]
                    coming[past % self._size] = 0
            if not self._waiting:
                self._coming = None
        self._part = part


class Everybody:
    """Those that wait for any hop. pace: how many of them may come per second, where not too many wait for that."""

    def __init__(self, rungs_s: Sequence[int], pace: float) -> None:
        self._longest_s = rungs_s[-1]
        self._pace = pace
        self._seconds = Calendar(rungs_s)
        self._moments = Calendar(rungs_s, _MOMENTS_PER_S)

    def waiting(self, now: float) -> int:
        """Return how many wait whose time has not come."""
        return self._seconds.waiting(now)

    def add(self, now: float, rung_s: int) -> None:
        """Count one that comes after so many seconds."""
        self._seconds.add(now, rung_s)
        self._moments.add(now, rung_s)

    def coming_at_once(self, now: float, rung_s: int) -> int:
        """Return how many come at the same moment as one who would come after so many seconds."""
        return self._moments.coming(now, rung_s)

    def has_room(self, now: float, rung_s: int) -> bool:
        """Whether the pace allows for one more in the second in which it would come."""
        return self._seconds.coming(now, rung_s) + 1 <= max(self._pace, self._even_pace(now))

    def is_even(self, now: float, rung_s: int) -> bool:
        """Whether one more would come alone, or with few."""
        at_once = max(_AT_ONCE, 1 + self._even_pace(now) / _MOMENTS_PER_S)
        return self.waiting(now) < _FEW or self.coming_at_once(now, rung_s) + 1 <= at_once

    def _even_pace(self, now: float) -> float:
        return self.waiting(now) * _SPARE / self._longest_s
