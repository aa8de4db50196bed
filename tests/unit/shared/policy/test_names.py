"""Rules of DNS lists: what an answer counts, and what is no listing at all."""

from ipaddress import IPv4Address

import pytest

from shared.policy import PolicyError, parse_policy
from shared.policy.names import DnsList

LIST = """
[[dns_lists.lists]]
zone = "Block.Example."
score = 4
answers = [{answer = "127.0.0.2", score = 9}, {answer = "127.0.1.0/24", score = 2}, {answer = "127.0.0.9", score = -3}]
"""


def dns_list() -> DnsList:
    return parse_policy(LIST.replace("Example.", "Example")).dns_lists.lists[0]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("127.0.0.2", 9),
        ("127.0.1.77", 2),
        ("127.0.0.9", -3),
        ("127.0.0.4", 4),
        ("127.0.0.1", None),
        ("127.255.255.254", None),
        ("127.255.255.1", None),
        ("127.255.254.1", 4),
        ("192.0.2.1", None),
        ("0.0.0.0", None),
        ("128.0.0.2", None),
    ],
)
def test_an_answer_counts(answer: str, score: int | None) -> None:
    assert dns_list().score_of(IPv4Address(answer)) == score


def test_an_error_of_the_list_is_no_listing_whatever_the_rules_say() -> None:
    always = DnsList.model_validate({"zone": "x.test", "answers": [{"answer": "0.0.0.0/0", "score": 99}]})
    for answer in ("127.255.255.2", "127.0.0.1", "192.0.2.1"):
        assert always.score_of(IPv4Address(answer)) is None


def test_the_first_answer_that_fits_counts() -> None:
    both = DnsList.model_validate(
        {"zone": "x.test", "answers": [{"answer": "127.0.0.2", "score": 1}, {"answer": "127.0.0.0/8", "score": 7}]}
    )
    assert both.score_of(IPv4Address("127.0.0.2")) == 1
    assert both.score_of(IPv4Address("127.0.0.3")) == 7


def test_a_zone_is_known_in_lower_case() -> None:
    assert dns_list().zone == "block.example"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (LIST.replace("Example.", "Example") * 2, "stands here twice"),
        (LIST, "is not a domain name"),
        ("[[dns_lists.lists]]\nzone = 'x.test'\nanswers = [{answer = '127.0.0.1/24', score = 1}]", "answer"),
        ("[[dns_lists.lists]]\nzone = 'x.test'\nscore = 2000", "score"),
        ("[dns_lists]\nrefuse_at = 0", "refuse_at"),
        ("[dns_lists]\nmax_hit_share = 0", "max_hit_share"),
    ],
)
def test_a_mistake_is_named(text: str, cause: str) -> None:
    with pytest.raises(PolicyError, match=cause):
        parse_policy(text)
