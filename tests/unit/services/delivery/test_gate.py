"""A hop's gate: few places for the unknown, more for the proven, none for the dead, and nobody waits long."""

import asyncio

import pytest

from services.delivery import gate as gate_module
from services.delivery.gate import FIRST_PLACES, LONGEST_PARK_S, LONGEST_PAUSE_S, STALLED_AFTER_S, Busy, Gate
from services.delivery.hops import Hops


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def _prove(gate: Gate, places: int) -> None:
    for _ in range(places):
        await gate.enter(places)
        gate.leave(places, 0.01)


async def test_a_new_hop_has_few_places(clock: Clock) -> None:
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    third = asyncio.create_task(gate.enter(10))
    await asyncio.sleep(0)
    assert not third.done()
    gate.leave(10, 0.01)
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
        gate.leave(10, 1, "connection refused")
        with pytest.raises(Busy, match="connection refused") as busy:
            await gate.enter(10)
        waits.append(busy.value.wait_s)
        clock.now += busy.value.wait_s
    assert waits == [5, 10, 20, 40, 80, 160, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


async def test_after_the_pause_one_message_tries(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(10)
    gate.leave(10, 1, "dead")
    clock.now += 5
    await gate.enter(10)
    with pytest.raises(Busy):
        await gate.enter(10)
    gate.leave(10, 1)
    await gate.enter(10)
    await gate.enter(10)


async def test_those_who_wait_are_sent_away_when_the_hop_dies(clock: Clock) -> None:
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    waiting = asyncio.create_task(gate.enter(10))
    await asyncio.sleep(0)
    gate.leave(10, 1, "dead")
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
    gate.leave(10, 1)
    assert gate.busy == FIRST_PLACES - 1


async def test_a_wait_that_is_cancelled_takes_no_place(clock: Clock) -> None:
    gate = Gate(clock)
    for _ in range(FIRST_PLACES):
        await gate.enter(10)
    first, second = asyncio.create_task(gate.enter(10)), asyncio.create_task(gate.enter(10))
    await asyncio.sleep(0)
    # The place comes and the wait is cancelled in the same turn of the loop: the next one gets it.
    gate.leave(10, 0.01)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await second
    assert gate.busy == FIRST_PLACES


async def test_the_more_are_sent_away_the_longer_they_stay_away(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(1)
    gate.leave(1, 100)
    await gate.enter(1)
    clock.now += STALLED_AFTER_S + 0.1
    waits = []
    for _ in range(200):
        with pytest.raises(Busy) as busy:
            await gate.enter(1)
        waits.append(busy.value.wait_s)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_PARK_S


async def test_a_refused_connection_among_good_ones_halves_the_places(clock: Clock) -> None:
    gate = Gate(clock)
    await _prove(gate, 8)
    for _ in range(8):
        await gate.enter(8)
    gate.leave(8, 0.1, "421 too many connections")
    assert gate.busy == 7
    for _ in range(7):
        gate.leave(8, 0.1)
    await gate.enter(8)


async def test_slow_hops_together_hold_half_at_most(clock: Clock) -> None:
    hops = Hops(clock, prefetch=8)
    for key in ("a", "b"):
        await hops.enter(key, 10)
        await hops.enter(key, 10)
    clock.now += STALLED_AFTER_S + 0.1
    await hops.enter("c", 10)
    with pytest.raises(Busy, match="half"):
        await hops.enter("c", 10)


async def test_hops_of_which_nothing_is_known_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.delivery.hops._KNOWN_LIMIT", 3)
    hops = Hops(clock, prefetch=8)
    busy = await hops.enter("busy", 10)
    for key in "abcdef":
        state = await hops.enter(key, 10)
        state.gate.leave(10, 0.01)
    assert await hops.enter("busy", 10) is busy


async def test_who_keeps_a_place_free_leaves_it_to_others(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(10, keep_free=1)
    second = asyncio.create_task(gate.enter(10, keep_free=1))
    await asyncio.sleep(0)
    assert not second.done()
    gate.leave(10, 0.01)
    await second


async def test_who_keeps_a_place_free_has_the_only_one(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(1, keep_free=1)
    assert gate.busy == 1


async def test_a_place_that_is_withdrawn_from_teaches_nothing(clock: Clock) -> None:
    gate = Gate(clock)
    await gate.enter(1)
    gate.leave(1, 1.0, "dead")
    clock.now += LONGEST_PAUSE_S
    await gate.enter(1)
    waiting = asyncio.create_task(gate.enter(1))
    await asyncio.sleep(0)
    gate.withdraw(1)
    assert not gate.busy
    assert not gate.is_proven
    with pytest.raises(Busy):
        await waiting
    await gate.enter(1)
    gate.leave(1, 0.01)
    await gate.enter(1)
    waiting = asyncio.create_task(gate.enter(1))
    await asyncio.sleep(0)
    gate.withdraw(1)
    await waiting
