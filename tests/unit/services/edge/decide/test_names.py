"""What comes of a client by its name and by what lists say."""

from ipaddress import IPv4Address

import pytest

from services.edge.decide.names import judge_lists, judge_name, judge_names
from services.edge.decide.refusal import RefusalReason
from services.edge.lookups.facts import Hit, ListFindings
from shared.auth.iprev import ReverseResult, ReverseWord
from shared.policy import parse_policy
from shared.policy.names import DnsListRules, ReverseRules

CONFIRMED = ReverseResult(ReverseWord.PASS, "a.example")
LIAR = ReverseResult(ReverseWord.FAIL, "")
NAMELESS = ReverseResult(ReverseWord.PERMERROR, "")
UNKNOWN = ReverseResult(ReverseWord.TEMPERROR, None)


@pytest.mark.parametrize(
    ("missing", "result", "reply"),
    [
        ("accept", NAMELESS, None),
        ("defer", CONFIRMED, None),
        ("deny", CONFIRMED, None),
        ("defer", NAMELESS, "450 4.7.25"),
        ("defer", LIAR, "450 4.7.25"),
        ("deny", NAMELESS, "550 5.7.25"),
        ("deny", LIAR, "550 5.7.25"),
        # DNS that fails is never a refusal.
        ("defer", UNKNOWN, None),
        ("deny", UNKNOWN, None),
    ],
)
def test_a_client_without_a_name(missing: str, result: ReverseResult, reply: str | None) -> None:
    refusal = judge_name(ReverseRules.model_validate({"missing": missing}), result)
    assert (str(refusal.reply)[:10] if refusal else None) == reply
    assert refusal is None or refusal.reason is RefusalReason.NO_NAME


def test_a_name_that_only_rules_ask_for_refuses_nobody() -> None:
    assert judge_name(ReverseRules.model_validate({"enabled": False, "missing": "deny"}), NAMELESS) is None


def hits(*scores: int, text: str = "") -> ListFindings:
    made = [
        Hit(f"{letter}.test", IPv4Address("127.0.0.2"), score, text)
        for letter, score in zip("abc", scores, strict=False)
    ]
    return ListFindings(sum(scores), tuple(made), len(made))


@pytest.mark.parametrize(
    ("defer_at", "findings", "reply"),
    [
        (None, hits(), None),
        (None, hits(4), None),
        (None, hits(5), "550 5.7.1 Your address is listed by a.test"),
        (None, hits(2, 3), "550 5.7.1 Your address is listed by b.test"),
        (None, hits(9, -5), None),
        (None, hits(9, -4, 3), "550 5.7.1 Your address is listed by a.test"),
        (3, hits(2), None),
        (3, hits(3), "450 4.7.1 Your address is listed by a.test"),
        (3, hits(1, 4), "550 5.7.1 Your address is listed by b.test"),
        (3, hits(-9), None),
        (None, hits(5, text="see why"), "550 5.7.1 Your address is listed by a.test: see why"),
    ],
)
def test_the_sum_decides_and_the_heaviest_list_is_named(
    defer_at: int | None, findings: ListFindings, reply: str | None
) -> None:
    refusal = judge_lists(DnsListRules(refuse_at=5, defer_at=defer_at), findings)
    assert (str(refusal.reply) if refusal else None) == reply
    assert refusal is None or refusal.reason is RefusalReason.DNS_LISTED


@pytest.mark.parametrize(
    ("missing", "result", "findings", "reply"),
    [
        ("deny", None, None, None),
        ("deny", CONFIRMED, hits(), None),
        ("deny", NAMELESS, None, "550 5.7.25"),
        ("defer", NAMELESS, hits(3), "450 4.7.25"),
        ("defer", NAMELESS, hits(4), "450 4.7.1 "),
        ("defer", NAMELESS, hits(9), "550 5.7.1 "),
        ("deny", NAMELESS, hits(4), "550 5.7.25"),
        ("deny", CONFIRMED, hits(4), "450 4.7.1 "),
        ("deny", NAMELESS, hits(9), "550 5.7.1 "),
    ],
)
def test_a_refusal_for_good_comes_before_one_for_now(
    missing: str, result: ReverseResult | None, findings: ListFindings | None, reply: str | None
) -> None:
    policy = parse_policy(f'[reverse]\nmissing = "{missing}"\n[dns_lists]\ndefer_at = 4\n')
    refusal = judge_names(policy, result, findings)
    assert (str(refusal.reply)[:10] if refusal else None) == reply
