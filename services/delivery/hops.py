"""The hops that this process knows: the gate, the kept sessions and the probes of each (I/O through its pools).

Owns: the bound over all hops: those that have not proved themselves may hold half of the stage's messages at most, if
slow ones hold that much already; and forgetting hops of which nothing needs to be known.
On failure: `Busy`, as of the gate.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.delivery.client.pool import Pool
from services.delivery.gate import SHORTEST_PARK_S, Busy, Gate
from services.delivery.probing import Probing

_KNOWN_LIMIT = 5000


@dataclass(slots=True)
class HopState:
    """What is kept of one hop."""

    gate: Gate
    pool: Pool = field(default_factory=Pool)
    probing: Probing = field(default_factory=Probing)


class Hops:
    """All of them, by key. prefetch: how many messages the stage holds at a time."""

    def __init__(self, clock: Callable[[], float], prefetch: int) -> None:
        self._clock = clock
        self._prefetch = prefetch
        self._states: dict[str, HopState] = {}

    async def enter(self, key: str, places: int) -> HopState:
        """Take a place at a hop. Raises Busy. The caller gives it back by `state.gate.leave`."""
        state = self.state_of(key)
        if not state.gate.is_proven and state.gate.busy and self._held_by_slow() * 2 >= self._prefetch:
            raise Busy("waiting: slow hops hold half of what is under way", SHORTEST_PARK_S)
        await state.gate.enter(places)
        return state

    def state_of(self, key: str) -> HopState:
        """Return what is kept of a hop."""
        state = self._states.get(key)
        if state is None:
            self._forget_idle()
            state = self._states[key] = HopState(Gate(self._clock))
        return state

    def close(self) -> None:
        """Say good-bye to all hops."""
        for state in self._states.values():
            state.pool.close()
            state.probing.pool.close()

    def _held_by_slow(self) -> int:
        return sum(state.gate.busy for state in self._states.values() if state.gate.is_stalled)

    def _forget_idle(self) -> None:
        if len(self._states) < _KNOWN_LIMIT:
            return
        idle = [
            key
            for key, state in self._states.items()
            if state.gate.is_idle and not len(state.pool) and state.probing.is_idle
        ]
        for key in idle:
            del self._states[key]
