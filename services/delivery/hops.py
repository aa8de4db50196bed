"""The hops that this process knows: the gate, the kept sessions and the probes of each (I/O through its pools).

Owns: what a message passes before it goes to a hop: an administrator's order to send nothing there, the bounds over all
hops (those that are slow, or not known to be quick, hold a part of the stage's messages at most, and those that are
dead a smaller one, so that mail for the others always has room), a place at the gate, and the hop's rate over all
processes. How long what is sent away stays away. Telling how hops are; and forgetting those of which nothing needs to
be known.
Bounds: 5,000 hops; beyond, the counts and the health of those that were not used for longest are forgotten.
On failure: `Busy`, as of the gate.
"""

import time
from collections.abc import Callable, Sequence

from services.delivery import metrics
from services.delivery.client.pool import Pool
from services.delivery.gate import Gate
from services.delivery.probing import Probing
from services.delivery.traffic.busy import PACE_PER_S, Busy, busy_by
from services.delivery.traffic.calendar import Calendar, Everybody
from services.delivery.traffic.seats import Seats
from shared.broker.topology import DELIVERY_RUNGS_S
from shared.hop_state import HopStatus
from shared.policy import DeliveryRules
from shared.state.memory import MemoryState
from shared.state.port import Ask, State

_KNOWN_LIMIT = 5000
# Of all that may be under way; with the settings' defaults less than either queue has places.
_DOUBTFUL_PART = 0.6
_FAILING_PART = 0.2
# How many of those that wait come by in a second, of all hops together.
_PACE_OF_ALL_PER_S = 4 * PACE_PER_S
_SETTLE_EVERY_S = 10.0
# An order to resume is seen within a minute where few wait.
_SUSPENDED_S = 60.0

# Called with the hop's key, how it is, why, and until when at least (Unix seconds; None: not known).
OnChange = Callable[[str, HopStatus, str, float | None], None]


def _nobody(hop: str, status: HopStatus, cause: str, until: float | None) -> None:
    """Tell nobody."""


def _none(key: str) -> str | None:
    """Return why nothing goes to a hop by an administrator's order: no hop is suspended."""
    del key
    return None


class HopState:
    """What is kept of one hop."""

    __slots__ = ("_on_status", "calendar", "gate", "key", "pool", "probing", "seats", "status", "suspended")

    def __init__(
        self,
        key: str,
        clock: Callable[[], float],
        state: State,
        on_status: Callable[["HopState", HopStatus, str, float | None], None],
    ) -> None:
        self.key = key
        self._on_status = on_status
        self.gate = Gate(clock, self._tell)
        self.seats = Seats(key, state)
        self.pool = Pool(self.seats)
        self.probing = Probing(self.seats)
        self.calendar = Calendar(DELIVERY_RUNGS_S)
        self.status = HopStatus.OPEN
        self.suspended: str | None = None

    @property
    def is_unused(self) -> bool:
        """Whether nothing of it is open or under way."""
        return not self.gate.busy and not self.seats.taken and self.probing.is_idle

    def suspend(self, reason: str | None) -> None:
        """Note why an administrator lets nothing go there, or that one does again."""
        if reason == self.suspended:
            return
        self.suspended = reason
        if reason is not None:
            self._on_status(self, HopStatus.SUSPENDED, reason, None)
        else:
            self._tell(self.gate.status, self.gate.cause, self.gate.left_s)

    def _tell(self, status: HopStatus, cause: str, for_s: float | None) -> None:
        if self.suspended is None:
            self._on_status(self, status, cause, for_s)


class Hops:
    """All of them, by key. prefetch: how many messages the stage holds at a time. on_change: told how hops become."""

    def __init__(
        self,
        clock: Callable[[], float],
        prefetch: int,
        state: State | None = None,
        on_change: OnChange = _nobody,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._prefetch = prefetch
        self._state = MemoryState(clock) if state is None else state
        self._on_change = on_change
        self._wall = wall
        # The one used last stands last.
        self._states: dict[str, HopState] = {}
        # Where messages may be under way: those that went there, and have not been seen idle since.
        self._busy: set[HopState] = set()
        self._everybody = Everybody(DELIVERY_RUNGS_S, _PACE_OF_ALL_PER_S)
        self._settled_at = clock()
        self._not_open: dict[str, HopState] = {}
        self.suspended: Callable[[str], str | None] = _none

    async def enter(self, key: str, rules: DeliveryRules, caps: Sequence[Ask] = ()) -> HopState:
        """Take a place at a hop. Raises Busy. The caller gives it back by `state.gate.leave` or `withdraw`.

        caps: what else is counted for the message, such as the schedule of a new address. What is refused by one of
        them, or by the hop's rate, counts for none.
        """
        state = self.state_of(key)
        if self._not_open:
            self._settle(self._clock())
        self.refuse_suspended(state)
        if state.gate.is_doubtful:
            self._refuse_crowded(state)
        await state.gate.enter(rules.connections_per_hop)
        self._busy.add(state)
        if rules.rate is not None or caps:
            await self._count(state, rules, caps)
        return state

    def refuse_suspended(self, state: HopState) -> None:
        """Raise Busy if an administrator lets nothing go to a hop."""
        reason = self.suspended(state.key)
        if reason is not None or state.suspended is not None:
            state.suspend(reason)
        if reason is not None:
            raise Busy(f"suspended: {reason}", _SUSPENDED_S)

    def away_s(self, key: str, busy: Busy) -> float:
        """Return how long a message that cannot go to a hop stays away, and count it among those that wait for the hop.

        It is a rung of the ladder, so that what is counted is when the message comes by again.
        """
        state = self.state_of(key)
        now = self._clock()
        rung_s = state.calendar.choose(now, busy.wait_s, busy.pace, self._everybody)
        state.calendar.add(now, rung_s)
        self._everybody.add(now, rung_s)
        state.gate.note_parked(state.calendar.waiting(now))
        metrics.WAITING.set(self._everybody.waiting(now))
        self._settle(now)
        return float(rung_s)

    def state_of(self, key: str) -> HopState:
        """Return what is kept of a hop."""
        state = self._states.pop(key, None)
        if state is None:
            self._forget()
            state = HopState(key, self._clock, self._state, self._changed)
            metrics.HOPS.labels(state.status.value).inc()
        self._states[key] = state
        return state

    def waiting(self, key: str) -> int:
        """Return how many messages this process has sent to wait for a hop, whose time has not come."""
        state = self._states.get(key)
        return state.calendar.waiting(self._clock()) if state is not None else 0

    def close(self) -> None:
        """Say good-bye to all hops."""
        for state in self._states.values():
            state.pool.close()
            state.probing.pool.close()

    async def _count(self, state: HopState, rules: DeliveryRules, caps: Sequence[Ask]) -> None:
        try:
            asks = list(caps)
            if rules.rate is not None:
                asks.append(Ask(f"delivery:rate:{state.key}", rules.rate))
            refused = await self._state.take(asks)
            if refused is not None:
                raise busy_by(refused.rate)
        except BaseException:
            state.gate.withdraw()
            raise

    def _refuse_crowded(self, state: HopState) -> None:
        """Raise Busy where hops that are slow, or may be, hold so much that one more would keep the others' mail away.

        Whoever owns a thousand domains has a thousand hops, and each may take a message's whole time.
        """
        self._busy = {other for other in self._busy if other.gate.busy}
        gates = [other.gate for other in self._busy]
        if not state.gate.is_proven and state.gate.busy:
            slow = sum(gate.busy for gate in gates if gate.is_stalled)
            if slow * 2 >= self._prefetch:
                raise Busy("waiting: slow hops hold half of what is under way")
        others = [gate for gate in gates if gate is not state.gate]
        if sum(gate.busy for gate in others if gate.is_doubtful) >= self._prefetch * _DOUBTFUL_PART:
            raise Busy("waiting: other slow hops hold too much of what is under way")
        if not state.gate.is_failing:
            return
        if sum(gate.busy for gate in others if gate.is_failing) >= self._prefetch * _FAILING_PART:
            raise Busy("waiting: other dead hops hold too much of what is under way")

    def _changed(self, state: HopState, status: HopStatus, cause: str, for_s: float | None) -> None:
        metrics.HOPS.labels(state.status.value).dec()
        metrics.HOPS.labels(status.value).inc()
        state.status = status
        if status is HopStatus.OPEN:
            self._not_open.pop(state.key, None)
        else:
            self._not_open[state.key] = state
        self._on_change(state.key, status, cause, None if for_s is None else self._wall() + for_s)

    def _settle(self, now: float) -> None:
        """Look, now and then, whether what was not open is so again without a message that said so."""
        if now - self._settled_at < _SETTLE_EVERY_S:
            return
        self._settled_at = now
        for state in list(self._not_open.values()):
            if state.suspended is not None:
                state.suspend(self.suspended(state.key))
            else:
                state.gate.settle(state.calendar.waiting(now))

    def _forget(self) -> None:
        if len(self._states) < _KNOWN_LIMIT:
            return
        now = self._clock()
        unused = [state for state in self._states.values() if state.is_unused]
        idle = [state for state in unused if state.gate.is_idle and not state.calendar.waiting(now)]
        # Where all have something to tell, those not used for longest tell it no more.
        for state in idle or unused[: _KNOWN_LIMIT // 10 + 1]:
            if state.status is not HopStatus.OPEN:
                self._changed(state, HopStatus.OPEN, "nothing is known of it any more", None)
            metrics.HOPS.labels(state.status.value).dec()
            del self._states[state.key]
