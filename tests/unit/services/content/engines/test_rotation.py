"""Rules of which address is asked next."""

from hypothesis import given
from hypothesis import strategies as st

from services.content.engines.rotation import FIRST_BACKOFF_S, MAX_BACKOFF_S, Rotation


def test_all_take_their_turn() -> None:
    rotation = Rotation(["a", "b", "c"])
    assert [rotation.order(0)[0] for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_the_others_stand_behind_the_first() -> None:
    assert Rotation(["a", "b", "c"]).order(0) == ["a", "b", "c"]


def test_one_that_failed_is_asked_last_until_its_time_has_come() -> None:
    rotation = Rotation(["a", "b"])
    assert rotation.failed("a", now=10.0)
    assert [rotation.order(10.0)[0] for _ in range(4)] == ["b", "b", "b", "b"]
    assert rotation.order(10.0)[-1] == "a"


def test_one_message_tries_it_again_while_the_others_stay_away() -> None:
    rotation = Rotation(["a", "b"])
    rotation.failed("a", now=0.0)
    due = FIRST_BACKOFF_S + 0.1
    assert rotation.order(due)[0] == "a"
    assert rotation.order(due)[0] == "b"


def test_an_answer_brings_it_back() -> None:
    rotation = Rotation(["a", "b"])
    rotation.failed("a", now=0.0)
    assert rotation.answered("a")
    assert not rotation.answered("a")
    assert {rotation.order(0.1)[0] for _ in range(2)} == {"a", "b"}


def test_each_further_failure_doubles_its_time_up_to_a_bound() -> None:
    rotation = Rotation(["a", "b"])
    for _ in range(50):
        rotation.failed("a", now=0.0)
    assert all(rotation.order(MAX_BACKOFF_S - 0.1)[0] == "b" for _ in range(4))
    assert rotation.order(MAX_BACKOFF_S + 0.1)[0] == "a"


def test_only_the_first_failure_is_news() -> None:
    rotation = Rotation(["a"])
    assert [rotation.failed("a", now=0.0) for _ in range(3)] == [True, False, False]


def test_an_address_given_twice_counts_once() -> None:
    assert Rotation(["a", "a"]).order(0) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 100)), max_size=40))
def test_whatever_happens_each_address_is_tried_once_per_message(happened: list[tuple[str, bool, float]]) -> None:
    rotation = Rotation(["a", "b", "c"])
    now = 0.0
    for address, well, passed in happened:
        now += passed
        _ = rotation.answered(address) if well else rotation.failed(address, now)
        assert sorted(rotation.order(now)) == ["a", "b", "c"]
