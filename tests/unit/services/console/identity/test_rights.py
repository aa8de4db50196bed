"""Who may do what."""

import pytest

from services.console.identity.rights import RIGHTS, Caller, Right, Role, contained, on_this_host, within


def test_an_administrator_may_everything_and_a_viewer_only_see() -> None:
    assert RIGHTS[Role.ADMINISTRATOR] == set(Right)
    assert RIGHTS[Role.VIEWER] == {Right.SEE}


@pytest.mark.parametrize("right", [Right.POLICY, Right.DOMAINS, Right.USERS])
def test_an_operator_changes_neither_policy_nor_domains_nor_users(right: Right) -> None:
    assert not Caller("o", Role.OPERATOR).may(right)


@pytest.mark.parametrize("right", [Right.QUEUES, Right.BANS, Right.POLICY, Right.AUDIT, Right.USERS])
def test_a_domain_manager_has_no_right_over_what_is_not_of_a_domain(right: Right) -> None:
    assert not Caller("m", Role.DOMAIN_MANAGER, frozenset({"a.example"})).may(right)


def test_only_a_role_with_no_right_more_is_within_another() -> None:
    assert all(within(role, Role.ADMINISTRATOR) for role in Role)
    assert all(within(Role.VIEWER, role) for role in Role)
    assert not within(Role.DOMAIN_MANAGER, Role.OPERATOR)
    assert not within(Role.OPERATOR, Role.DOMAIN_MANAGER)


def test_all_domains_are_contained_in_all_alone() -> None:
    some = frozenset({"a.example"})
    assert contained(None, None)
    assert contained(some, None)
    assert not contained(None, some)
    assert contained(frozenset(), some)
    assert not contained(frozenset({"b.example"}), some)


@pytest.mark.parametrize(
    "address", ["x@a.example", "A.Example", "x@sub.a.example", "a.example.evil", "x@evil@a.example", ""]
)
def test_a_domain_is_covered_as_it_is_and_no_other(address: str) -> None:
    caller = Caller("m", Role.DOMAIN_MANAGER, frozenset({"a.example"}))
    assert caller.covers(address) is (address.lower().rpartition("@")[2] == "a.example")
    assert on_this_host("root").covers(address)
