"""What all sessions of this process share: the budget of octets in flight, and how many sessions there are."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from services.edge.decide.admission import Load

# How often deadlines are looked at: one timer for all sessions instead of one per command; and less often while there
# are more of them than this, so that ten thousand idle ones cost no more than two.
SWEEP_S = 0.2
_SWEPT_AT_ONCE = 2000


# What one client may hold of the budget: else a few slow messages of one address would keep out everybody's mail.
_SHARE = 4


class ByteBudget:
    """Octets of messages that are being received or handed over. The limit may change with the policy."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._held: Counter[str] = Counter()

    @property
    def room(self) -> int:
        """How many octets are left."""
        return max(0, self.limit - self.used)

    def reserve(self, octets: int) -> bool:
        """Take octets, or say that there are not enough."""
        if self.used + octets > self.limit:
            return False
        self.used += octets
        return True

    def release(self, octets: int) -> None:
        """Give back what was taken."""
        self.used -= octets
        assert self.used >= 0

    def share_of(self, holder: str, least: int) -> "Share":
        """Return the part of the budget that one client may hold. least: octets that it may hold in any case."""
        return Share(self, self._held, holder, least)


class Share:
    """One client's part of the budget, for all of its messages together."""

    def __init__(self, budget: ByteBudget, held: Counter[str], holder: str, least: int) -> None:
        self._budget = budget
        self._held = held
        self._holder = holder
        self._least = least

    def reserve(self, octets: int) -> bool:
        """Take octets, or say that there are not enough."""
        most = max(self._budget.limit // _SHARE, self._least)
        if self._held[self._holder] + octets > most or not self._budget.reserve(octets):
            self._forget_if_nothing()
            return False
        self._held[self._holder] += octets
        return True

    def release(self, octets: int) -> None:
        """Give back what was taken."""
        self._budget.release(octets)
        self._held[self._holder] -= octets
        self._forget_if_nothing()

    def _forget_if_nothing(self) -> None:
        if not self._held[self._holder]:
            del self._held[self._holder]


class Timed(Protocol):
    """A session with a deadline."""

    deadline: float

    @property
    def listener(self) -> str:
        """The name of its listener."""

    def expire(self) -> None:
        """Called once its deadline has passed."""

    def end_soon(self) -> None:
        """Called at shutdown: end as soon as nothing is under way."""


class Sessions:
    """The open sessions; looks at their deadlines a few times a second."""

    def __init__(self) -> None:
        self._open: set[Timed] = set()
        self._of_listener: Counter[str] = Counter()
        self._none = asyncio.Event()
        self._none.set()
        self._timer: asyncio.TimerHandle | None = None
        self.draining = False
        # How many of them are kept busy on purpose.
        self.tarpitted = 0

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Timed]:
        return iter(tuple(self._open))

    def load(self, listener: str) -> Load:
        """Return how many sessions there are, in all and of a listener."""
        return Load(len(self._open), self._of_listener[listener], self.draining)

    def add(self, session: Timed) -> None:
        """Note a session that began."""
        self._open.add(session)
        self._of_listener[session.listener] += 1
        self._none.clear()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def remove(self, session: Timed) -> None:
        """Forget a session that ended."""
        self._open.remove(session)
        self._of_listener[session.listener] -= 1
        if not self._open:
            self._none.set()

    async def drain(self, timeout_s: float) -> bool:
        """Have every session end when it has finished what is under way; return whether all did in time."""
        self.draining = True
        for session in self:
            session.end_soon()
        try:
            async with asyncio.timeout(timeout_s):
                await self._none.wait()
        except TimeoutError:
            return False
        return True

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for session in self:
            if session.deadline <= now:
                session.expire()
        again_s = SWEEP_S * max(1.0, len(self._open) / _SWEPT_AT_ONCE)
        self._timer = loop.call_later(again_s, self._sweep) if self._open else None
