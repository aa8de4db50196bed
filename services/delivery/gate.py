"""Who may go to a hop now, and who comes again later (no sockets; the clock is passed in).

Owns: a hop's places (at most as many transactions as the policy gives connections), and what is known of its health.
A new hop begins with two places and earns more, so that a dead or slow one never holds many of the stage's messages.
One that cannot be reached is left alone for growing pauses, after which one message tries. A message waits for a place
for a second at most, and not at all where that is known to be in vain.
Output: a place, or `Busy` with how long to stay away, which counts as no attempt.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable

FIRST_PLACES = 2
PATIENCE_S = 1.0
STALLED_AFTER_S = 2.0
SHORTEST_PARK_S = 5.0
LONGEST_PARK_S = 60.0
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
_PARKED_MEMORY_S = 20.0
_LEAST_TOOK_S = 0.02


class Busy(Exception):
    """No place now. wait_s: how long to stay away."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Gate:
    """The gate of one hop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._earned = FIRST_PLACES
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._took_s = 0.0
        self._moved_at = clock()
        self._failures = 0
        self._shut_until = 0.0
        self._cause = ""
        self._parked = 0.0
        self._parked_at = clock()
        self.busy = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known of it that would be missed."""
        forgiven = not self._failures or self._clock() > self._shut_until + LONGEST_PAUSE_S
        return forgiven and not self.busy and not self._waiting

    @property
    def is_stalled(self) -> bool:
        """Whether transactions are open and none has ended for a while."""
        return self.busy > 0 and self._clock() - self._moved_at > STALLED_AFTER_S

    @property
    def is_proven(self) -> bool:
        """Whether it has taken messages and is not failing."""
        return self._earned > FIRST_PLACES and not self._failures

    async def enter(self, places: int, keep_free: int = 0) -> None:
        """Take a place, waiting shortly if need be. Raises Busy.

        places: the policy's bound. keep_free: how many of them, but for one, are left to others.
        """
        now = self._clock()
        if now < self._shut_until:
            raise self._shut(places, now)
        if self.busy < max(1, self._places(places) - keep_free) and not self._waiting:
            self._begin(now)
            return
        expected_s = (len(self._waiting) + 1) * self._took_s / self._places(places)
        if self.is_stalled or self._failures or expected_s > PATIENCE_S:
            raise self._full(places)
        await self._wait(places)

    def leave(self, places: int, took_s: float, failed: str | None = None) -> None:
        """Give the place back. failed: why the hop could not be reached, None if it spoke with us."""
        now = self._clock()
        self.busy -= 1
        self._moved_at = now
        if failed is not None:
            self._note_failure(now, failed)
        else:
            self._failures = 0
            self._shut_until = 0.0
            self._earned = min(places, self._earned + 1)
            self._took_s += 0.1 * (took_s - self._took_s)
        self._admit(places)

    def withdraw(self, places: int) -> None:
        """Give the place back, with nothing learned of the hop."""
        self.busy -= 1
        self._admit(places)

    def _places(self, places: int) -> int:
        return 1 if self._failures else max(1, min(self._earned, places))

    def _begin(self, now: float) -> None:
        if not self.busy:
            self._moved_at = now
        self.busy += 1

    async def _wait(self, places: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The place came at the same moment: pass it on.
                self.busy -= 1
                self._admit(places)
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._full(places) from None
            raise

    def _admit(self, places: int) -> None:
        while self._waiting and (self._clock() < self._shut_until or self.busy < self._places(places)):
            turn = self._waiting.popleft()
            if turn.done():
                continue
            if self._clock() < self._shut_until:
                turn.set_exception(self._shut(places, self._clock()))
            else:
                self._begin(self._clock())
                turn.set_result(None)

    def _note_failure(self, now: float, cause: str) -> None:
        self._cause = cause
        if self.busy and self._earned > FIRST_PLACES and not self._failures:
            # Others get through: it has enough of us, not gone away.
            self._earned = max(1, self._earned // 2)
            return
        if now < self._shut_until:
            return
        self._failures += 1
        self._earned = FIRST_PLACES
        self._shut_until = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10))

    def _shut(self, places: int, now: float) -> Busy:
        return Busy(f"waiting for the hop: {self._cause}", max(self._shut_until - now, self._away_s(places)))

    def _full(self, places: int) -> Busy:
        return Busy("waiting for a free connection to the hop", self._away_s(places))

    def _away_s(self, places: int) -> float:
        """Return how long to stay away: about as long as the hop needs for those who were sent away of late.

        Coming by costs the broker two writes, so thousands for a slow hop must not come by every five seconds.
        """
        now = self._clock()
        self._parked = self._parked * math.exp((self._parked_at - now) / _PARKED_MEMORY_S) + 1
        self._parked_at = now
        silent_s = now - self._moved_at if self.busy else 0.0
        drain_s = self._parked * max(self._took_s, silent_s, _LEAST_TOOK_S) / self._places(places)
        return min(LONGEST_PARK_S, max(SHORTEST_PARK_S, drain_s))
