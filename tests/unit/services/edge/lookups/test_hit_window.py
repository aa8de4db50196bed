"""How many of the last clients a list has listed."""

from hypothesis import given
from hypothesis import strategies as st

from services.edge.lookups.hit_window import WINDOW, HitWindow


def window(listed: int, others: int) -> HitWindow:
    made = HitWindow()
    for number in range(listed + others):
        made.note(str(number), listed=number < listed)
    return made


def test_fewer_than_a_hundred_clients_tell_nothing() -> None:
    assert not window(99, 0).exceeds(0.5)
    assert window(100, 0).exceeds(0.5)


def test_the_share_must_be_exceeded() -> None:
    assert not window(95, 5).exceeds(0.95)
    assert window(96, 4).exceeds(0.95)


def test_a_client_that_comes_again_counts_once() -> None:
    made = HitWindow()
    for _ in range(200):
        made.note("192.0.2.1", listed=True)
    assert not made.exceeds(0.5)


def test_old_clients_are_forgotten() -> None:
    made = window(100, 0)
    for number in range(100, 160):
        made.note(str(number), listed=False)
    assert not made.exceeds(0.4)
    assert made.exceeds(0.39)


@given(st.lists(st.tuples(st.integers(0, 150), st.booleans()), max_size=500))
def test_its_count_is_that_of_what_it_holds(notes: list[tuple[int, bool]]) -> None:
    made = HitWindow()
    for client, listed in notes:
        made.note(str(client), listed=listed)
    assert len(made._listed) <= WINDOW
    assert made._hits == sum(made._listed.values())
