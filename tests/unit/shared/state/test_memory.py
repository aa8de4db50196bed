"""Rules of state in memory that need a clock of their own: windows, lifetimes, bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy.table import Rate
from shared.state.memory import MemoryState
from shared.state.places import Places
from shared.state.port import Ask, Place


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> MemoryState:
    return MemoryState(clock)


TEN_A_MINUTE = Rate(10, 60)


async def counted(state: MemoryState, tries: int, rate: Rate = TEN_A_MINUTE, key: str = "k") -> int:
    return sum([await state.take([Ask(key, rate)]) is None for _ in range(tries)])


async def test_what_was_counted_is_counted_until_its_window_is_over(state: MemoryState, clock: Clock) -> None:
    assert await counted(state, 12) == 10
    clock.now_s += 59.9
    assert await counted(state, 1) == 0
    # At the latest a twelfth of the window later.
    clock.now_s += 5.1
    assert await counted(state, 12) == 10


async def test_a_window_slides(state: MemoryState, clock: Clock) -> None:
    assert await counted(state, 4) == 4
    clock.now_s += 30
    assert await counted(state, 10) == 6
    clock.now_s += 36
    assert await counted(state, 10) == 4


async def test_what_was_refused_is_not_counted(state: MemoryState, clock: Clock) -> None:
    await counted(state, 10)
    for _ in range(20):
        clock.now_s += 3.3
        await counted(state, 1)
    clock.now_s += 65
    assert await counted(state, 20) == 10


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 8)), max_size=60),
    st.integers(1, 12),
    st.sampled_from([1, 60, 3600]),
)
def test_no_span_of_the_length_of_a_window_holds_more_than_the_count(
    steps: list[tuple[float, int]], count: int, per_s: int
) -> None:
    clock = Clock()
    state = MemoryState(clock)
    taken: list[tuple[float, int]] = []
    for step, amount in steps:
        clock.now_s += step * per_s / 60
        if run(state.take([Ask("k", Rate(count, per_s), amount)])) is None:
            taken.append((clock.now_s, amount))
        in_span = sum(amount for at_s, amount in taken if at_s > clock.now_s - per_s)
        assert in_span <= count


def run(operation: object) -> object:
    """Run an operation that never waits."""
    try:
        operation.send(None)  # type: ignore[attr-defined]
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")


async def test_the_keys_that_nobody_counted_for_longest_are_forgotten_first(clock: Clock) -> None:
    state = MemoryState(clock, max_keys=3)
    once = Rate(1, 60)
    for key in "abc":
        assert await counted(state, 1, once, key) == 1
    assert await counted(state, 1, once, "d") == 1
    assert [await counted(state, 1, once, key) for key in "bcd"] == [0, 0, 0]
    assert await counted(state, 1, once, "a") == 1


async def test_keys_of_one_window_length_push_out_none_of_another(clock: Clock) -> None:
    state = MemoryState(clock, max_keys=3)
    await counted(state, 1, Rate(1, 3600), "k")
    for number in range(10):
        await counted(state, 1, Rate(1, 60), f"k{number}")
    assert await counted(state, 1, Rate(1, 3600), "k") == 0


async def test_windows_that_ran_out_make_room(clock: Clock) -> None:
    state = MemoryState(clock, max_keys=1000)
    for number in range(500):
        await counted(state, 1, Rate(1, 1), f"k:old{number}")
    clock.now_s += 10
    for number in range(200):
        await counted(state, 1, Rate(1, 1), f"k:new{number}")
    (table,) = state._windows._tables.values()
    assert len(table) == 200


async def test_a_value_ends_with_its_time(state: MemoryState, clock: Clock) -> None:
    await state.put("k", "v", 10)
    clock.now_s += 9.9
    assert await state.get(["k"]) == ["v"]
    (found,) = await state.find("k", 5)
    assert (found.key, found.value, round(found.left_s, 3)) == ("k", "v", 0.1)
    clock.now_s += 0.1
    assert await state.get(["k"]) == [None]
    assert await state.find("k", 5) == []
    assert not await state.forget("k")
    assert await state.put_first("k", "w", 10) is None


async def test_a_number_is_kept_from_its_beginning(state: MemoryState, clock: Clock) -> None:
    assert await state.add("n", 2, 10) == 2
    clock.now_s += 9
    assert await state.add("n", 3, 10) == 5
    clock.now_s += 1
    assert await state.add("n", 1, 10) == 1


async def test_the_values_whose_end_is_nearest_make_room(clock: Clock) -> None:
    state = MemoryState(clock, max_values=3)
    for ttl_s, key in [(30, "k:c"), (10, "k:a"), (20, "k:b"), (40, "k:d")]:
        await state.put(key, "v", ttl_s)
    assert await state.get(["k:a", "k:b", "k:c", "k:d"]) == [None, "v", "v", "v"]
    await state.put("k:b", "again", 100)
    await state.put("k:e", "v", 50)
    assert await state.get(["k:a", "k:b", "k:c", "k:d", "k:e"]) == [None, "again", None, "v", "v"]


async def test_a_flood_of_one_kind_pushes_out_none_of_another(clock: Clock) -> None:
    state = MemoryState(clock, max_values=3)
    await state.put("ban:192.0.2.1", "v", 10)
    for number in range(100):
        await state.put(f"grey:{number}", "v", 1000)
    assert await state.get(["ban:192.0.2.1"]) == ["v"]


async def test_a_value_put_again_and_again_takes_no_more_room(state: MemoryState) -> None:
    for number in range(10_000):
        await state.put("k", str(number), 1000)
    assert len(state._of("k")._ends) < 2000
    assert await state.get(["k"]) == ["9999"]


async def test_values_that_ended_are_swept(state: MemoryState, clock: Clock) -> None:
    for number in range(100):
        await state.put(f"k:old{number}", "v", 10)
    clock.now_s += 11
    for number in range(50):
        await state.put(f"k:new{number}", "v", 10)
    assert len(state._of("k")._values) == 50


async def test_a_place_given_back_too_often_is_no_place_more() -> None:
    places = Places()
    places.enter([Place("k", 2)])
    places.leave(["k", "k", "k"])
    assert places.count("k") == 0
    assert places.keys() == set()
    assert places.enter([Place("k", 2), Place("k", 2)]) is None
    assert places.enter([Place("k", 2)]) == Place("k", 2)
