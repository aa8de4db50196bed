"""Who may go to a hop now, and who comes again later (no sockets; the clock is passed in).

Owns: a hop's places (at most as many transactions as the policy gives connections), and what is known of its health.
A new hop begins with two places and earns more, so that a dead or slow one never holds many of the stage's messages.
One that asks us to go slower has its places halved, and earns them back one by one; if it still asks when one message
goes at a time, it gets pauses that grow. One that cannot be reached is left alone for growing pauses, after which one
message tries. A message waits for a place for a second at most, and not at all where that is known to be in vain.
Output: a place, or `Busy` with how long to stay away, which counts as no attempt; and what the hop's status is.
Standards: RFC 5321 §4.5.4.1 (a host that cannot be reached is left alone for a while).
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable

from services.delivery.traffic.busy import PACE_PER_S, SHORTEST_PARK_S, Busy
from services.delivery.traffic.manner import FINE, Manner, Went
from shared.hop_state import HopStatus

__all__ = ["FIRST_PLACES", "SHORTEST_PARK_S", "Busy", "Gate"]

FIRST_PLACES = 2
PATIENCE_S = 1.0
STALLED_AFTER_S = 2.0
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
# So long without a complaint, or with places to spare, and the hop counts as open again.
CALM_S = 60.0
# What waits for a slow hop comes by at twice the rate at which the hop takes mail, so that its places are always used.
_SLOW_PACE_PER_S = 10.0
_THROUGHPUT_MEMORY_S = 10.0

# Called with the status, the cause, and for how many seconds it holds at least (None: not known).
OnStatus = Callable[[HopStatus, str, float | None], None]


def _nobody(status: HopStatus, cause: str, for_s: float | None) -> None:
    """Tell nobody."""


class Gate:
    """The gate of one hop. on_status: told each change."""

    def __init__(self, clock: Callable[[], float], on_status: OnStatus = _nobody) -> None:
        self._clock = clock
        self._on_status = on_status
        self._limit = FIRST_PLACES
        self._earned = float(FIRST_PLACES)
        # From here on, places are earned one by one: more were too many the last time.
        self._steep_until = math.inf
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._took_s = 0.0
        self._moved_at = clock()
        self._taken_per_s = 0.0
        self._taken_at = clock()
        # In a row: pauses without a success after them.
        self._failures = 0
        self._throttles = 0
        self._shut_until = 0.0
        self._lessened_at = -math.inf
        self._grows_from = 0.0
        self._full_at = -math.inf
        self._cause = ""
        self.status = HopStatus.OPEN
        self.busy = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known of it that would be missed."""
        return self.status is HopStatus.OPEN and not self.busy and not self._waiting

    @property
    def is_stalled(self) -> bool:
        """Whether transactions are open and none has ended for a while."""
        return self.busy > 0 and self._clock() - self._moved_at > STALLED_AFTER_S

    @property
    def is_proven(self) -> bool:
        """Whether it has taken messages and is not failing."""
        # Where the policy gives no more places than a new hop has, none can be earned.
        places = min(FIRST_PLACES, self._limit - 1)
        return self._taken_per_s > 0 and self._earned > places and not self._failures

    @property
    def is_doubtful(self) -> bool:
        """Whether a message may take long there: nothing says otherwise, or others do, or did."""
        return not self.is_proven or self.is_stalled or self._took_s > STALLED_AFTER_S

    @property
    def is_failing(self) -> bool:
        """Whether it could not be reached the last time."""
        return self._failures > 0

    @property
    def cause(self) -> str:
        """Why it is not open: the hop's words or ours."""
        return self._cause

    @property
    def left_s(self) -> float | None:
        """How long nothing goes there, or None if something may."""
        left_s = self._shut_until - self._clock()
        return left_s if left_s > 0 else None

    async def enter(self, limit: int, keep_free: int = 0) -> None:
        """Take a place, waiting shortly if need be. Raises Busy.

        limit: the policy's bound. keep_free: how many of them, but for one, are left to others.
        """
        now = self._clock()
        self._limit = limit
        if now < self._shut_until:
            raise self._shut(now)
        places = self._places()
        if self.busy < max(1, places - keep_free) and not self._waiting:
            self._begin(now)
            return
        expected_s = (len(self._waiting) + 1) * self._took_s / places
        if self.is_stalled or self._failures or expected_s > PATIENCE_S:
            raise self._full()
        await self._wait()

    def leave(self, took_s: float, manner: Manner = FINE) -> None:
        """Give the place back. took_s: since it was taken. manner: how it went."""
        now = self._clock()
        self.busy -= 1
        self._moved_at = now
        if manner.went is Went.FINE:
            self._note_fine(now, took_s)
        elif manner.went is Went.THROTTLED:
            self._note_throttled(now, took_s, manner.reason)
        else:
            self._note_unreachable(now, manner.reason)
        self._admit()

    def withdraw(self) -> None:
        """Give the place back, with nothing learned of the hop."""
        self.busy -= 1
        self._admit()

    def note_parked(self, waiting: int) -> None:
        """Note that a message was sent away. waiting: how many wait by now."""
        is_full = self._clock() - self._full_at < SHORTEST_PARK_S
        # A few that come by again in five seconds are no news.
        if is_full and self.status is HopStatus.OPEN and waiting > 10 * self._places():
            self._become(HopStatus.SLOW, "more mail comes than it takes", None)

    def settle(self, waiting: int) -> None:
        """Count the hop as open again if what made it otherwise is long over. waiting: how many messages wait for it.

        What waits for a hop that was shut will try it; only one for which nothing waits is forgiven unheard.
        """
        now = self._clock()
        if self.status is HopStatus.SLOW:
            is_over = not waiting and now - self._full_at > CALM_S
        elif self.status is HopStatus.BACKING_OFF:
            is_over = now - max(self._lessened_at, self._grows_from, self._shut_until) > CALM_S
        else:
            is_over = not waiting and now > self._shut_until + LONGEST_PAUSE_S
        if is_over and not self.is_stalled:
            self._failures = self._throttles = 0
            self._become(HopStatus.OPEN, "", None)

    def _places(self) -> int:
        return 1 if self._failures else max(1, min(int(self._earned), self._limit))

    def _begin(self, now: float) -> None:
        if not self.busy:
            self._moved_at = now
        self.busy += 1

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The place came at the same moment: pass it on.
                self.busy -= 1
                self._admit()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._full() from None
            raise

    def _admit(self) -> None:
        while self._waiting and (self._clock() < self._shut_until or self.busy < self._places()):
            turn = self._waiting.popleft()
            if turn.done():
                continue
            if self._clock() < self._shut_until:
                turn.set_exception(self._shut(self._clock()))
            else:
                self._begin(self._clock())
                turn.set_result(None)

    def _note_fine(self, now: float, took_s: float) -> None:
        self._failures = self._throttles = 0
        self._shut_until = 0.0
        self._took_s += 0.1 * (took_s - self._took_s)
        self._taken_per_s = self._throughput(now) + 1 / _THROUGHPUT_MEMORY_S
        self._taken_at = now
        if now >= self._grows_from:
            step = 1.0 if self._earned < self._steep_until else 1 / self._earned
            self._earned = min(float(self._limit), self._earned + step)
        if self.status is HopStatus.SHUT:
            self._become(HopStatus.OPEN, "", None)

    def _note_throttled(self, now: float, took_s: float, cause: str) -> None:
        was_one = self._places() == 1
        # It is there, if nothing else.
        self._failures = 0
        if now - took_s < self._lessened_at:
            # It was begun before we went slower, so it says nothing of that.
            return
        self._throttles += 1
        pause_s = _pause_s(self._throttles)
        self._lessen(now)
        self._grows_from = now + pause_s
        if was_one:
            self._shut_until = now + pause_s
        if was_one or self.status is not HopStatus.BACKING_OFF:
            self._become(HopStatus.BACKING_OFF, cause, pause_s if was_one else None)

    def _note_unreachable(self, now: float, cause: str) -> None:
        if self.busy and self._earned > FIRST_PLACES and not self._failures:
            # Others get through: it has enough of us, not gone away.
            self._lessen(now)
            if self.status is not HopStatus.BACKING_OFF:
                self._become(HopStatus.BACKING_OFF, cause, None)
            return
        if now < self._shut_until:
            return
        self._failures += 1
        self._earned = float(FIRST_PLACES)
        pause_s = _pause_s(self._failures)
        self._shut_until = now + pause_s
        self._become(HopStatus.SHUT, cause, pause_s)

    def _lessen(self, now: float) -> None:
        self._earned = self._steep_until = max(1.0, self._earned / 2)
        self._lessened_at = now

    def _become(self, status: HopStatus, cause: str, for_s: float | None) -> None:
        self.status = status
        self._cause = cause
        self._on_status(status, cause, for_s)

    def _shut(self, now: float) -> Busy:
        doing = "waiting for the hop" if self._failures else "going slower, as the hop asks"
        return Busy(f"{doing}: {self._cause}", self._shut_until - now)

    def _full(self) -> Busy:
        now = self._full_at = self._clock()
        # Of a hop that is being tried nothing is known; it may be well again in a moment.
        pace = PACE_PER_S if self._failures else max(_SLOW_PACE_PER_S, 2 * self._throughput(now))
        return Busy("waiting for a free connection to the hop", pace=pace)

    def _throughput(self, now: float) -> float:
        """Return how many messages it takes per second, of late."""
        return self._taken_per_s * math.exp((self._taken_at - now) / _THROUGHPUT_MEMORY_S)


def _pause_s(count: int) -> float:
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(count - 1, 10))
