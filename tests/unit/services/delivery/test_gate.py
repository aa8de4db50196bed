"""A hop's gate: few places for the unknown, more for the proven, none for the dead, and nobody waits long."""

import asyncio

import pytest

from services.delivery import gate as gate_module
from services.delivery.gate import CALM_S, FIRST_PLACES, LONGEST_PAUSE_S, STALLED_AFTER_S, Busy, Gate
from services.delivery.hops import Hops
from services.delivery.traffic.manner import Manner, Went
from shared.hop_state import HopStatus
from shared.policy import DeliveryRules
from shared.policy.table import Rate
from shared.state.port import Ask
from tests.unit.services.delivery.clock import Clock

DEAD = Manner(Went.UNREACHABLE, "dead")
SLOWER = Manner(Went.THROTTLED, "421 4.7.0 slow down")
RULES = DeliveryRules()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def _prove(gate: Gate, places: int) -> None:
    for _ in range(places):
        await gate.enter(places)
        gate.leave(0.01)


async def test_a_new_hop_has_few_places(clock: Clock) -> None:
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    third = asyncio.create_task(gate.enter(10))
    await asyncio.sleep(0)
    assert not third.done()
    gate.leave(0.01)
    await third
    assert gate.busy == FIRST_PLACES


async def test_a_proven_hop_has_as_many_as_the_policy_gives(clock: Clock) -> None:
    gate = Gate(clock)
    await _prove(gate, 5)
    for _ in range(5):
        await gate.enter(5)
    assert gate.busy == 5
    assert gate.is_proven


async def test_a_dead_hop_is_left_alone_for_growing_pauses(clock: Clock) -> None:
    gate = Gate(clock)
    waits = []
    for _ in range(8):
        await gate.enter(10)
        gate.leave(1, Manner(Went.UNREACHABLE, "connection refused"))
        with pytest.raises(Busy, match="connection refused") as busy:
            await gate.enter(10)
        waits.append(busy.value.wait_s)
        clock.now += busy.value.wait_s
    assert waits == [5, 10, 20, 40, 80, 160, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


async def test_after_the_pause_one_message_tries(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(10)
    gate.leave(1, DEAD)
    clock.now += 5
    await gate.enter(10)
    with pytest.raises(Busy):
        await gate.enter(10)
    gate.leave(1)
    await gate.enter(10)
    await gate.enter(10)


async def test_those_who_wait_are_sent_away_when_the_hop_dies(clock: Clock) -> None:
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    waiting = asyncio.create_task(gate.enter(10))
    await asyncio.sleep(0)
    gate.leave(1, DEAD)
    with pytest.raises(Busy, match="dead"):
        await waiting
    assert gate.busy == FIRST_PLACES - 1


async def test_nobody_waits_at_a_stalled_hop(clock: Clock) -> None:
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    clock.now += STALLED_AFTER_S + 0.1
    assert gate.is_stalled
    with pytest.raises(Busy, match="free connection"):
        await gate.enter(10)


async def test_nobody_waits_longer_than_a_moment(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "PATIENCE_S", 0.01)
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    with pytest.raises(Busy):
        await gate.enter(10)
    gate.leave(1)
    assert gate.busy == FIRST_PLACES - 1


async def test_a_wait_that_is_cancelled_takes_no_place(clock: Clock) -> None:
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    first, second = asyncio.create_task(gate.enter(10)), asyncio.create_task(gate.enter(10))
    await asyncio.sleep(0)
    # The place comes and the wait is cancelled in the same turn of the loop: the next one gets it.
    gate.leave(0.01)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await second
    assert gate.busy == FIRST_PLACES


async def test_a_refused_connection_among_good_ones_halves_the_places(clock: Clock) -> None:
    gate = Gate(clock)
    await _prove(gate, 8)
    for _ in range(8):
        await gate.enter(8)
    gate.leave(0.1, SLOWER)
    assert gate.busy == 7
    for _ in range(7):
        gate.leave(0.1)
    await gate.enter(8)


async def test_slow_hops_together_hold_half_at_most(clock: Clock) -> None:
    hops = Hops(clock, prefetch=8)
    for key in ("a", "b"):
        await hops.enter(key, RULES)
        await hops.enter(key, RULES)
    clock.now += STALLED_AFTER_S + 0.1
    await hops.enter("c", RULES)
    with pytest.raises(Busy, match="half"):
        await hops.enter("c", RULES)


async def test_hops_of_which_nothing_is_known_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.delivery.hops._KNOWN_LIMIT", 3)
    hops = Hops(clock, prefetch=8)
    busy = await hops.enter("busy", RULES)
    for key in "abcdef":
        state = await hops.enter(key, RULES)
        state.gate.leave(0.01)
    assert await hops.enter("busy", RULES) is busy


async def test_who_keeps_a_place_free_leaves_it_to_others(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(10, keep_free=1)
    second = asyncio.create_task(gate.enter(10, keep_free=1))
    await asyncio.sleep(0)
    assert not second.done()
    gate.leave(0.01)
    await second


async def test_who_keeps_a_place_free_has_the_only_one(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(1, keep_free=1)
    assert gate.busy == 1


async def test_a_place_that_is_withdrawn_from_teaches_nothing(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(1)
    gate.leave(1.0, DEAD)
    clock.now += LONGEST_PAUSE_S
    await gate.enter(1)
    waiting = asyncio.create_task(gate.enter(1))
    await asyncio.sleep(0)
    gate.withdraw()
    assert not gate.busy
    assert not gate.is_proven
    with pytest.raises(Busy):
        await waiting
    await gate.enter(1)
    gate.leave(0.01)
    await gate.enter(1)
    waiting = asyncio.create_task(gate.enter(1))
    await asyncio.sleep(0)
    gate.withdraw()
    await waiting


async def test_who_asks_for_less_in_one_round_is_heard_once(clock: Clock) -> None:
    gate = Gate(clock)
    await _prove(gate, 8)
    for _ in range(8):
        await gate.enter(8)
    clock.now += 1
    # All were begun before we went slower.
    for _ in range(8):
        gate.leave(1.5, SLOWER)
    for _ in range(4):
        await gate.enter(8)
    waiting = asyncio.create_task(gate.enter(8))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_places_lost_are_earned_back_slowly_and_not_at_once(clock: Clock) -> None:
    gate = Gate(clock)
    await _prove(gate, 8)
    await gate.enter(8)
    clock.now += 1
    gate.leave(0.1, SLOWER)

    async def places() -> int:
        while gate.busy < 8:
            waiting = asyncio.create_task(gate.enter(8))
            await asyncio.sleep(0)
            if not waiting.done():
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                break
        taken = gate.busy
        for _ in range(taken):
            gate.withdraw()
        return taken

    assert await places() == 4
    await _prove(gate, 8)
    assert await places() == 4
    clock.now += 6
    await _prove(gate, 5)
    assert await places() == 5


async def test_a_hop_that_asks_for_less_than_one_at_a_time_gets_growing_pauses(clock: Clock) -> None:
    told: list[HopStatus] = []
    gate = Gate(clock, lambda status, cause, for_s: told.append(status))
    waits = []
    for _ in range(9):
        await gate.enter(10)
        clock.now += 1
        gate.leave(0.5, SLOWER)
        try:
            await gate.enter(10)
        except Busy as busy:
            waits.append((busy.wait_s, str(busy)))
            clock.now += busy.wait_s
        else:
            gate.withdraw()
    assert waits == sorted(waits)
    assert waits[-1] == (LONGEST_PAUSE_S, "going slower, as the hop asks: 421 4.7.0 slow down")
    assert gate.status is HopStatus.BACKING_OFF
    await gate.enter(10)
    gate.leave(0.1)
    gate.settle(0)
    assert gate.status is HopStatus.BACKING_OFF
    clock.now += LONGEST_PAUSE_S + CALM_S + 1
    gate.settle(0)
    assert told[-1] is HopStatus.OPEN


async def test_how_a_hop_becomes_is_told_with_cause_and_time(clock: Clock) -> None:
    told: list[tuple[str, HopStatus, str, float | None]] = []
    hops = Hops(clock, 50, on_change=lambda *what: told.append(what), wall=lambda: 5000.0)
    state = await hops.enter("a", RULES)
    state.gate.leave(1, DEAD)
    clock.now += 5
    (await hops.enter("a", RULES)).gate.leave(1)
    hops.suspended = lambda key: "by order of ada" if key == "a" else None
    with pytest.raises(Busy, match="suspended: by order of ada") as busy:
        await hops.enter("a", RULES)
    assert hops.away_s("a", busy.value) == 60
    hops.suspended = lambda key: None
    (await hops.enter("a", RULES)).gate.leave(1)
    assert told == [
        ("a", HopStatus.SHUT, "dead", 5005.0),
        ("a", HopStatus.OPEN, "", None),
        ("a", HopStatus.SUSPENDED, "by order of ada", None),
        ("a", HopStatus.OPEN, "", None),
    ]


async def test_a_hop_for_which_many_wait_is_slow_until_none_does(clock: Clock) -> None:
    told: list[HopStatus] = []
    hops = Hops(clock, 50, on_change=lambda hop, status, cause, until: told.append(status))
    for _ in range(FIRST_PLACES):
        state = await hops.enter("a", RULES)
    clock.now += STALLED_AFTER_S + 1
    for _ in range(100):
        with pytest.raises(Busy) as busy:
            await hops.enter("a", RULES)
        hops.away_s("a", busy.value)
    assert told == [HopStatus.SLOW]
    for _ in range(FIRST_PLACES):
        state.gate.leave(3)
    clock.now += 1000
    await hops.enter("b", RULES)
    assert told == [HopStatus.SLOW, HopStatus.OPEN]


async def test_what_is_above_the_rate_of_a_hop_waits_and_counts_for_nothing(clock: Clock) -> None:
    hops = Hops(clock, 50)
    rules = DeliveryRules.model_validate({"rate": "2/min"})
    warm = [Ask("warm:192.0.2.1:a", Rate(3, 86_400))]
    for _ in range(2):
        (await hops.enter("a", rules, warm)).gate.leave(0.1)
    with pytest.raises(Busy, match="no more than 2/min"):
        await hops.enter("a", rules, warm)
    (await hops.enter("b", rules, warm)).gate.leave(0.1)
    with pytest.raises(Busy, match="no more than 3/d") as busy:
        await hops.enter("b", rules, warm)
    assert hops.away_s("b", busy.value) == 300
    assert hops.state_of("a").gate.busy == hops.state_of("b").gate.busy == 0


async def test_more_hops_than_can_be_known_forget_the_oldest(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.delivery.hops._KNOWN_LIMIT", 10)
    hops = Hops(clock, 50)
    for number in range(100):
        (await hops.enter(str(number), RULES)).gate.leave(1, DEAD)
    assert len(hops._states) <= 10
