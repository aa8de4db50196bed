"""What a user is told of and may release: a table."""

from dataclasses import replace

import pytest

from services.console.digest.choice import may_release, rules_for, told_recipients
from services.console.digest.daily import due_at
from shared.envelope import Direction
from shared.policy import parse_policy
from shared.verdict import Action, CheckName, Reason, Verdict
from tests.integration.console.mail import envelope

POLICY = parse_policy(
    """
[quarantine_digest]
enabled = true
shown = ["antispam", "spf", "antivirus"]
[domains."gatepost.test"]
route = "mx"
recipients = ["demo", "anna"]
subaddress = "+"
aliases.info = "demo"
[domains."other.test"]
route = "mx"
recipients = "any"
quarantine_digest.enabled = false
"""
)
RULES = POLICY.quarantine_digest


def reason(check: CheckName, action: Action, rule: str = "checks.x.y") -> Reason:
    return Reason(check, "result", action, "Evidence.", rule)


SPAM = reason(CheckName.ANTISPAM, Action.QUARANTINE, "checks.antispam.quarantine_at")


def held(*reasons: Reason, **changes: object) -> "object":
    made = envelope("01j0000000000000000000abcd", verdict=Verdict(reasons[0].action, reasons) if reasons else None)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reasons", "why", "expected"),
    [
        ((SPAM,), "quarantine", True),
        ((SPAM, reason(CheckName.SPF, Action.TAG)), "quarantine", True),
        ((SPAM,), "stripped", False),
        ((SPAM,), "undeliverable", False),
        ((SPAM,), "poison", False),
        ((), "quarantine", False),
        ((reason(CheckName.SPF, Action.QUARANTINE),), "quarantine", False),
        ((reason(CheckName.ANTIVIRUS, Action.REFUSE),), "refuse", False),
        ((SPAM, reason(CheckName.ANTIVIRUS, Action.TAG)), "quarantine", False),
        ((SPAM, reason(CheckName.ATTACHMENTS, Action.QUARANTINE)), "quarantine", False),
        ((reason(CheckName.ANTISPAM, Action.DEFER, ""),), "quarantine", False),
        ((SPAM, reason(CheckName.ANTIVIRUS, Action.DEFER, "")), "quarantine", False),
    ],
)
def test_a_user_releases_only_what_one_harmless_rule_holds(
    reasons: tuple[Reason, ...], why: str, expected: bool
) -> None:
    assert may_release(held(*reasons), why, RULES) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("demo@gatepost.test", True),
        ("DEMO@gatepost.test", True),
        ("demo+news@gatepost.test", True),
        ("info@gatepost.test", True),
        ("nobody@gatepost.test", False),
        ("anybody@other.test", False),
        ("demo@elsewhere.example", False),
        ("rubbish", False),
    ],
)
def test_only_recipients_of_domains_that_want_reports_get_them(address: str, expected: bool) -> None:
    assert (rules_for(POLICY, address) is not None) is expected


def test_mail_of_our_own_users_is_not_told_of() -> None:
    assert [who for who, _ in told_recipients(POLICY, held(SPAM), "quarantine")] == ["demo@gatepost.test"]  # type: ignore[arg-type]
    outbound = held(SPAM, direction=Direction.OUTBOUND)
    assert list(told_recipients(POLICY, outbound, "quarantine")) == []  # type: ignore[arg-type]


def test_a_report_is_due_from_its_hour_on() -> None:
    day = 20_000 * 86_400
    assert due_at(6, day + 6 * 3600) == day + 6 * 3600
    assert due_at(6, day + 6 * 3600 - 1) == day - 18 * 3600
