"""The budget of octets in flight, and what one client may hold of it."""

from services.edge.limits import ByteBudget


def test_one_client_holds_no_more_than_its_part_and_others_have_the_rest() -> None:
    budget = ByteBudget(400)
    one, again, other = (budget.share_of(holder, 10) for holder in ("a", "a", "b"))
    assert one.reserve(60)
    assert again.reserve(40)
    assert not again.reserve(1)
    assert other.reserve(100)
    again.release(40)
    assert one.reserve(40)
    one.release(100)
    other.release(100)
    assert budget.used == 0
    assert not budget._held


def test_what_a_client_may_hold_in_any_case_is_still_within_the_budget() -> None:
    budget = ByteBudget(100)
    assert budget.share_of("a", 80).reserve(80)
    assert not budget.share_of("b", 80).reserve(80)
    assert budget.used == 80
    assert "b" not in budget._held
