"""What lists are asked, and what their answers weigh."""

from ipaddress import IPv4Address, ip_address

import pytest

from services.edge.lookups.questions import is_asked_about, lists_for, question, strongest, weigh
from shared.policy.names import DnsList

SCORED = DnsList.model_validate(
    {
        "zone": "l.test",
        "score": 5,
        "answers": [{"answer": "127.0.0.10", "score": 1}, {"answer": "127.0.1.0/24", "score": -7}],
    }
)


def ips(*texts: str) -> tuple[IPv4Address, ...]:
    return tuple(map(IPv4Address, texts))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.99", "99.2.0.192.l.test"),
        ("2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.l.test"),
    ],
)
def test_an_address_is_asked_about_in_reverse(address: str, name: str) -> None:
    # The examples of RFC 5782 §2.1 and §2.4.
    assert question(ip_address(address), "l.test") == name


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("192.0.2.1", True),
        ("203.0.113.1", True),
        ("172.32.0.1", True),
        ("2001:db8::1", True),
        ("10.1.2.3", False),
        ("172.31.255.255", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
    ],
)
def test_addresses_of_our_own_are_not_asked_about(address: str, asked: bool) -> None:
    assert is_asked_about(ip_address(address)) is asked


def test_a_list_without_ipv6_is_asked_about_ipv4_alone() -> None:
    old, new = DnsList(zone="old.test", ipv6=False), DnsList(zone="new.test")
    assert lists_for([old, new], ip_address("192.0.2.1")) == [old, new]
    assert lists_for([old, new], ip_address("2001:db8::1")) == [new]


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        (["127.0.0.2"], 5),
        (["127.0.0.10"], 1),
        (["127.0.0.10", "127.0.0.2"], 5),
        (["127.0.0.2", "127.0.1.9"], -7),
        # RFC 5782 §2.1, and what large lists say to those whom they do not serve.
        (["127.255.255.254"], None),
        (["127.255.255.1"], None),
        (["127.0.0.1"], None),
        (["192.0.2.80"], None),
        (["127.0.0.2", "192.0.2.80"], None),
        ([], None),
    ],
)
def test_the_strongest_answer_of_a_list_counts_and_errors_never(answers: list[str], score: int | None) -> None:
    listing = strongest(SCORED, ips(*answers))
    assert (listing[1] if listing else None) == score


def test_the_scores_of_all_lists_add_up() -> None:
    zones = ["a.test", "b.test", "c.test", "d.test", "e.test"]
    lists = [DnsList(zone=zone, score=score) for zone, score in zip(zones, (3, 4, -2, 9, 9), strict=True)]
    answers = {"a.test": ips("127.0.0.2"), "b.test": ips("127.0.0.3"), "c.test": ips("127.0.0.4"), "d.test": ()}
    findings = weigh(lists, answers)
    assert findings.score == 5
    assert [hit.zone for hit in findings.hits] == ["a.test", "b.test", "c.test"]
    assert findings.heaviest is not None
    assert findings.heaviest.zone == "b.test"
    # The last one gave no answer.
    assert (findings.asked, findings.failed) == (5, ("e.test",))


def test_an_error_for_an_answer_is_a_failure_of_the_list() -> None:
    findings = weigh([DnsList(zone="a.test")], {"a.test": ips("127.255.255.254")})
    assert (findings.score, findings.hits, findings.failed) == (0, (), ("a.test",))


def test_allow_lists_alone_have_nothing_heaviest() -> None:
    assert weigh([DnsList(zone="a.test", score=-5)], {"a.test": ips("127.0.0.2")}).heaviest is None
