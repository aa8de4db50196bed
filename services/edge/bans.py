"""Bans of addresses that failed again and again, in the state that all edges share (I/O).

Owns: counting points, beginning a ban, and knowing who is banned. Each answer of the state is kept for two seconds, so
that a crowd of connections asks once, and a ban that another edge or the administrator set or lifted is soon seen.
On failure: while the state is away, nobody is banned but who is known to be; a metric and one log line say so.
"""

import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

from services.edge.decide.bans import is_punished, points_for
from services.edge.decide.refusal import RefusalReason
from services.edge.session import Session
from shared.bans import Ban, ban_key, decode_ban, earlier_key, encode_ban, is_exempt, points_key, subject_of
from shared.broker.ports import EventsPort
from shared.event import EventKind
from shared.ids import new_id
from shared.policy import Policy
from shared.state.port import State, StateUnavailable

_log = structlog.get_logger()
BANNED = Counter("gatepost_edge_bans_total", "Addresses banned, by the reason that brought it about", ["reason"])
WORKING = Gauge(
    "gatepost_edge_bans_working",
    "Whether bans are counted and heeded; 0 while the shared state is away",
    multiprocess_mode="livemin",
)
WORKING.set(1)
_KEPT_S = 2.0
_KEPT = 10_000


class Bans:
    """All bans, as this process sees them. clock: Unix seconds."""

    def __init__(self, state: State, events: EventsPort, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._events = events
        self._clock = clock
        # By subject: until when the answer is kept, and when the ban ends (0 where there is none).
        self._known: dict[str, tuple[float, float]] = {}
        self._works = True

    async def is_banned(self, address: str, policy: Policy) -> float | None:
        """Return for how many more seconds an address is banned, None if it is not."""
        if not policy.bans.enabled or is_exempt(address, policy):
            return None
        subject, now = subject_of(address), self._clock()
        known = self._known.get(subject)
        if known is None or known[0] <= now:
            known = await self._ask(subject, now) or known
        if known is None or known[1] <= now:
            return None
        return known[1] - now

    def points(self, session: Session, reason: RefusalReason, policy: Policy) -> int:
        """Return what a refusal is worth to `punish`; 0: nothing need be done."""
        if not policy.bans.enabled or not is_punished(session):
            return 0
        return points_for(reason, policy.bans)

    async def punish(self, address: str, points: int, why: str, policy: Policy) -> None:
        """Count points against an address, and ban it once they are too many."""
        if points <= 0 or not policy.bans.enabled or is_exempt(address, policy):
            return
        subject = subject_of(address)
        try:
            total = await self._state.add(points_key(subject), points, policy.bans.window_s)
            # Of those that see too many points at once, the one that takes them away begins the ban.
            if total >= policy.bans.threshold and await self._state.forget(points_key(subject)):
                await self._ban(subject, why, policy)
        except StateUnavailable as error:
            self._note(error)
        else:
            self._note(None)

    async def _ban(self, subject: str, why: str, policy: Policy) -> None:
        now = self._clock()
        # Sessions that were open when a ban began go on failing: that is no further offence. The ban stands, as a first
        # one, before it is known how many there were: points that add up meanwhile find it.
        first_s = policy.bans.ban_s(0)
        first = encode_ban(Ban(until=now + first_s, why=why, at=now, count=1))
        if await self._state.put_first(ban_key(subject), first, first_s) is not None:
            return
        count = await self._state.add(earlier_key(subject), 1, policy.bans.memory_s)
        length_s = policy.bans.ban_s(count - 1)
        ban = Ban(until=now + length_s, why=why, at=now, count=count)
        await self._state.put(ban_key(subject), encode_ban(ban), length_s)
        self._keep(subject, now, ban.until)
        BANNED.labels(why).inc()
        ban_id = new_id()
        self._events.tell(ban_id, EventKind.BANNED, client=subject, until=ban.until, why=why, count=count)
        _log.warning("banned", id=ban_id, client=subject, why=why, count=count, for_s=length_s)

    async def _ask(self, subject: str, now: float) -> tuple[float, float] | None:
        """Return what the state says, None while it is away."""
        try:
            value = (await self._state.get([ban_key(subject)]))[0]
        except StateUnavailable as error:
            self._note(error)
            return None
        self._note(None)
        ban = decode_ban(value) if value is not None else None
        return self._keep(subject, now, ban.until if ban else 0.0)

    def _keep(self, subject: str, now: float, until: float) -> tuple[float, float]:
        known = (now + _KEPT_S, until)
        self._known.pop(subject, None)
        if len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[subject] = known
        return known

    def _note(self, error: StateUnavailable | None) -> None:
        works = error is None
        if works is self._works:
            return
        self._works = works
        WORKING.set(1 if works else 0)
        if works:
            _log.info("bans-work-again")
        else:
            _log.warning("bans-stand-aside", cause=str(error))
