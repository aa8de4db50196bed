"""Rules of bans: how long they last."""

from hypothesis import given
from hypothesis import strategies as st

from shared.policy import parse_policy
from shared.policy.bans import BanRules
from shared.policy.client import in_networks, plain_ip


def test_each_further_ban_is_longer_up_to_the_longest() -> None:
    rules = BanRules(first_s=900, escalation=4, longest_s=604_800)
    assert [rules.ban_s(earlier) for earlier in range(7)] == [900, 3600, 14_400, 57_600, 230_400, 604_800, 604_800]


@given(st.integers(1, 10**6), st.integers(1, 100), st.integers(60, 10**7), st.integers(0, 10**9))
def test_a_ban_never_gets_shorter_nor_longer_than_the_longest(
    first: int, factor: int, longest: int, count: int
) -> None:
    rules = BanRules(first_s=first, escalation=factor, longest_s=longest)
    assert 1 <= rules.ban_s(count) <= rules.ban_s(count + 1) <= longest


def test_without_escalation_all_are_alike() -> None:
    assert {BanRules(first_s=60, escalation=1).ban_s(earlier) for earlier in range(9)} == {60}


def test_loopback_is_never_banned_unless_the_document_says_so() -> None:
    never = parse_policy("").bans.never
    assert all(
        in_networks(never, plain_ip(address)) for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")
    )
    assert parse_policy("[bans]\nnever = []").bans.never == []
