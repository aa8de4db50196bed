"""Whoever owns many domains, each with a server that takes its time, does not keep the mail of others away."""

import pytest

from services.delivery.gate import FIRST_PAUSE_S, STALLED_AFTER_S, Busy
from services.delivery.hops import Hops, HopState
from services.delivery.traffic.manner import Manner, Went
from shared.policy import DeliveryRules
from tests.unit.services.delivery.clock import Clock

RULES = DeliveryRules()
# The defaults of the settings: new mail, and what has waited.
NEW, AGAIN = 50, 20
DEAD = Manner(Went.UNREACHABLE, "no reply in time")


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def _known(hops: Hops, key: str, took_s: float = 0.1, manner: Manner | None = None) -> HopState:
    state = await hops.enter(key, RULES)
    if manner is None:
        state.gate.leave(took_s)
    else:
        state.gate.leave(took_s, manner)
    return state


async def _held(hops: Hops, clock: Clock, pause_s: float = 0.0) -> int:
    """Return how many messages a thousand such hops come to hold."""
    held = 0
    for number in range(1000):
        clock.now += pause_s
        try:
            await hops.enter(f"mx:d{number}.evil.example", RULES)
        except Busy:
            continue
        held += 1
    return held


@pytest.mark.parametrize("pause_s", [0.0, STALLED_AFTER_S])
async def test_a_thousand_new_hops_leave_places_to_those_that_are_known(clock: Clock, pause_s: float) -> None:
    hops = Hops(clock, NEW + AGAIN)
    await _known(hops, "smtp://inside.example:25")
    assert 20 <= await _held(hops, clock, pause_s) < NEW
    # All that the policy gives, and more than that at once.
    for _ in range(3):
        await hops.enter("smtp://inside.example:25", RULES)


async def test_a_thousand_hops_that_take_mail_at_their_leisure_leave_places_too(clock: Clock) -> None:
    hops = Hops(clock, NEW + AGAIN)
    await _known(hops, "smtp://inside.example:25")
    for number in range(1000):
        await _known(hops, f"mx:d{number}.evil.example", took_s=200.0)
    assert await _held(hops, clock) < NEW
    await hops.enter("smtp://inside.example:25", RULES)


async def test_a_thousand_dead_hops_leave_places_to_others_that_wait(clock: Clock) -> None:
    hops = Hops(clock, NEW + AGAIN)
    for number in range(1000):
        await _known(hops, f"mx:d{number}.evil.example", 200.0, DEAD)
    clock.now += FIRST_PAUSE_S + 1
    assert await _held(hops, clock) < AGAIN
    await hops.enter("mx:new.example", RULES)


async def test_one_slow_hop_alone_has_all_the_places_that_the_policy_gives(clock: Clock) -> None:
    rules = DeliveryRules(connections_per_hop=60)
    hops = Hops(clock, NEW + AGAIN)
    for _ in range(80):
        state = await hops.enter("smtp://scans.example:25", rules)
        state.gate.leave(10.0)
    for _ in range(60):
        await hops.enter("smtp://scans.example:25", rules)
        clock.now += STALLED_AFTER_S


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_hop_with_few_places_proves_itself_as_well(clock: Clock, limit: int) -> None:
    hops = Hops(clock, NEW + AGAIN)
    rules = DeliveryRules(connections_per_hop=limit)
    state = await hops.enter("smtp://inside.example:25", rules)
    assert not state.gate.is_proven
    state.gate.leave(0.1)
    assert state.gate.is_proven
    await _held(hops, clock)
    await hops.enter("smtp://inside.example:25", rules)
