"""Which interface a message takes, which address of it, and how warm it is."""

import datetime as dt
from collections import Counter

import pytest

from services.delivery.client.terms import Source
from services.delivery.interface import Sources, sources_for, warm_ask, warm_asks, warm_cap
from shared.policy import Policy, parse_policy
from shared.policy.table import PolicyError, Rate
from shared.routes import parse_route
from shared.state.port import Ask

_POLICY = """
[destinations."big.test"]
interface = "bulk"
[destinations."smtp://relay.test:25"]
interface = "pool"
[interfaces.bulk]
addresses = ["192.0.2.1"]
[interfaces.boss]
addresses = ["192.0.2.2", "2001:db8::2"]
hostname = "boss.ours.test"
senders = ["Boss@Ours.test", "@b\u00fccher.test"]
[interfaces.ours]
addresses = ["192.0.2.3"]
senders = ["@ours.test"]
ports = { first = 20000, last = 20009 }
[interfaces.pool]
addresses = ["192.0.2.10", "192.0.2.11", "192.0.2.12", "2001:db8::10"]
[interfaces.pool.warm_up]
begin = 2026-01-10
per_day = [50, 100, 400]
"""
_DEFAULT = Source("gate.test", "198.51.100.1")


def _policy() -> Policy:
    return parse_policy(_POLICY)


def _sources(
    sender: str, domain: str = "away.test", message_id: str = "id", *, route: str = "mx", here: tuple[str, ...] = ()
) -> Sources:
    policy = _policy()
    rules = policy.hop_rules(parse_route(route), domain)
    return sources_for(
        policy, sender, rules, message_id, is_ours=lambda address: not here or address in here, default=_DEFAULT
    )


@pytest.mark.parametrize(
    "sender, domain, expected",
    [
        ("boss@ours.test", "big.test", "boss"),
        ("BOSS@OURS.TEST", "away.test", "boss"),
        ("ann@ours.test", "big.test", "ours"),
        ("prvs=4123abcdef=boss@ours.test", "away.test", "boss"),
        ("x@b\u00fccher.test", "away.test", "boss"),
        ("x@xn--bcher-kva.test", "away.test", "boss"),
        ("x@else.test", "big.test", "bulk"),
        ("", "big.test", "bulk"),
        ("", "away.test", ""),
        ("x@sub.ours.test", "away.test", ""),
    ],
)
def test_the_sender_goes_before_the_destination_and_an_address_before_its_domain(
    sender: str, domain: str, expected: str
) -> None:
    assert _sources(sender, domain).name == expected


def test_towards_each_ip_version_there_is_its_own_address() -> None:
    sources = _sources("boss@ours.test")
    assert sources.for_address("203.0.113.5") == Source("boss.ours.test", "192.0.2.2")
    assert sources.for_address("2001:db8:1::5") == Source("boss.ours.test", "2001:db8::2")


def test_an_interface_without_an_address_of_the_version_does_not_use_another() -> None:
    sources = _sources("ann@ours.test")
    assert sources.for_address("203.0.113.5") == Source("gate.test", "192.0.2.3", (20000, 20009))
    assert sources.for_address("2001:db8:1::5") is None
    assert "only IPv4" in sources.explanation


def test_a_socket_of_this_host_has_no_source_address() -> None:
    assert _sources("ann@ours.test").for_address("") == Source("gate.test")


def test_the_settings_address_holds_for_its_own_version() -> None:
    sources = _sources("x@else.test")
    assert sources.for_address("203.0.113.5") == _DEFAULT
    assert sources.for_address("2001:db8:1::5") == Source("gate.test")


def test_a_pool_is_taken_in_turn_and_a_message_keeps_its_address() -> None:
    ids = [f"message-{number}" for number in range(600)]
    taken = Counter(_sources("", message_id=name, route="smtp://relay.test:25").v4 for name in ids)
    assert set(taken) == {"192.0.2.10", "192.0.2.11", "192.0.2.12"}
    assert min(taken.values()) > 100
    first = [_sources("", message_id=name, route="smtp://relay.test:25") for name in ids[:5]]
    assert first == [_sources("", message_id=name, route="smtp://relay.test:25") for name in ids[:5]]


def test_of_a_pool_only_this_hosts_addresses_are_used() -> None:
    sources = [
        _sources("", message_id=str(number), route="smtp://relay.test:25", here=("192.0.2.11",)) for number in range(20)
    ]
    assert {each.addresses for each in sources} == {("192.0.2.11",)}
    elsewhere = _sources("", route="smtp://relay.test:25", here=("192.0.2.99",))
    assert elsewhere.for_address("203.0.113.5") is None
    assert "none of the addresses of interface pool is this host's" in elsewhere.explanation


@pytest.mark.parametrize(
    "day, expected",
    [("2026-01-01", 50), ("2026-01-10", 50), ("2026-01-11", 100), ("2026-01-12", 400), ("2026-01-13", None)],
)
def test_an_address_is_warmed_up_day_by_day(day: str, expected: int | None) -> None:
    today = dt.date.fromisoformat(day)
    assert warm_cap(_policy().interfaces["pool"], today) == expected
    hop = "smtp://relay.test:25"
    asks = warm_asks(_sources("", route=hop, here=("192.0.2.10",)), hop, today)
    assert asks == (() if expected is None else (Ask(f"warm:192.0.2.10:{hop}", Rate(expected, 86_400)),))


def test_of_two_ip_versions_the_one_that_is_used_is_counted() -> None:
    hop, today = "smtp://relay.test:25", dt.date(2026, 1, 10)
    sources = _sources("", route=hop, here=("192.0.2.10", "2001:db8::10"))
    assert warm_asks(sources, hop, today) == ()
    assert warm_ask(sources, "2001:db8::10", hop, today) == (Ask(f"warm:2001:db8::10:{hop}", Rate(50, 86_400)),)


def test_without_a_schedule_nothing_is_counted() -> None:
    assert warm_cap(_policy().interfaces["bulk"], dt.date(2026, 1, 10)) is None
    assert warm_asks(_sources("", "big.test"), "mx:big.test", dt.date(2026, 1, 10)) == ()
    assert warm_asks(_sources("x@else.test"), "mx:away.test", dt.date(2026, 1, 10)) == ()


def test_a_sender_has_one_interface() -> None:
    with pytest.raises(PolicyError, match=r"'@OURS\.test' is a sender of both ours and twice"):
        parse_policy(_POLICY + '[interfaces.twice]\naddresses = ["192.0.2.9"]\nsenders = ["@OURS.test"]\n')
