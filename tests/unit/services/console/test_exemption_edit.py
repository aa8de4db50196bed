"""Adding an exemption to a policy document."""

import tomllib
from dataclasses import replace

import pytest

from services.console.exemption_edit import with_exemption
from services.console.sender_exemption import NoExemption, sender_exemption
from shared.policy import parse_policy
from shared.verdict import Action, CheckName, Reason, Verdict
from tests.integration.console.mail import envelope

KEYS: dict[str, str | list[str]] = {"name": "x", "reason": 'why "quoted"', "checks": ["spf"], "senders": ["a@b.test"]}
SPAM = Verdict(Action.QUARANTINE, (Reason(CheckName.ANTISPAM, "spam", Action.QUARANTINE, "e", "checks.antispam.q"),))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a comment\n[limits]\nerrors = 5 # kept\n",
        '[[exemptions]]\nname = "old"\nreason = "r"\nchecks = ["spf"]\nlogins = ["l"]\n\n# the end',
        'exemptions = [{name = "old", reason = "r", checks = ["spf"], logins = ["l"]}]\n[limits]\nerrors = 5\n',
    ],
)
def test_comments_and_all_else_stay(text: str) -> None:
    made = with_exemption(text, KEYS)
    document = tomllib.loads(made)
    assert document["exemptions"][-1] == KEYS
    for line in text.splitlines():
        assert line in made or line.startswith("exemptions")
    parse_policy(made)


def test_the_exemption_is_for_the_proved_sender_the_checks_that_objected_and_the_recipients_domains() -> None:
    mail = envelope("01j0000000000000000000abcd", verdict=SPAM)
    keys = sender_exemption(mail, "a customer", "anna", {"sender m@example.org"})
    assert (keys["name"], keys["checks"], keys["senders"]) == (
        "sender m@example.org (2)",
        ["antispam"],
        ["m@example.org"],
    )
    assert (keys["domains"], keys["direction"]) == (["gatepost.test"], "inbound")


def test_malware_and_unproved_senders_get_none() -> None:
    with pytest.raises(NoExemption, match="antivirus"):
        sender_exemption(envelope("01j0000000000000000000abcd"), "why", "anna", ())
    mail = replace(envelope("01j0000000000000000000abcd", verdict=SPAM), proved=None)
    with pytest.raises(NoExemption, match="not proved"):
        sender_exemption(mail, "why", "anna", ())
