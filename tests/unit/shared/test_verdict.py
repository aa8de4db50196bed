"""Rules of what the client is told of a verdict."""

from dataclasses import replace

import pytest

from shared.verdict import Action, CheckName, Reason, Verdict, reply_to, verdict_facts, without
from tests.unit.shared.samples import ID


def verdict(action: Action, *checks: CheckName) -> Verdict:
    return Verdict(action, tuple(Reason(check, "fail", action, "a private matter: secret.local") for check in checks))


@pytest.mark.parametrize("action", [Action.ACCEPT, Action.TAG, Action.QUARANTINE])
def test_what_is_kept_is_answered_250_and_nobody_hears_of_a_quarantine(action: Action) -> None:
    assert str(reply_to(verdict(action, CheckName.SPF), ID)) == f"250 2.0.0 queued as {ID}"


def test_what_cannot_be_judged_is_451() -> None:
    assert str(reply_to(verdict(Action.DEFER), ID)).startswith("451 4.7.1 ")


@pytest.mark.parametrize(
    ("check", "begin"),
    [
        (CheckName.ANTIVIRUS, "550 5.7.1 "),
        # RFC 7372 §3.2 and §3.1.
        (CheckName.SPF, "550 5.7.23 "),
        (CheckName.DKIM, "550 5.7.20 "),
        (CheckName.DMARC, "550 5.7.1 "),
        (CheckName.STRUCTURE, "554 5.6.0 "),
    ],
)
def test_a_refusal_names_its_class_by_the_decisive_reason(check: CheckName, begin: str) -> None:
    others = [other for other in CheckName if other is not check]
    assert str(reply_to(verdict(Action.REFUSE, check, *others), ID)).startswith(begin)


@pytest.mark.parametrize("check", CheckName)
@pytest.mark.parametrize("action", Action)
def test_every_answer_has_the_id_and_no_evidence(action: Action, check: CheckName) -> None:
    line = str(reply_to(verdict(action, check), ID))
    assert ID in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (
            Reason(CheckName.BRAKE, "braked", Action.DEFER, "why", "brake.braked"),
            "451 4.7.1 Message deferred: this account sent too much spam",
        ),
        (
            Reason(CheckName.SPF, "permerror", Action.DEFER, "why", "checks.spf.permerror"),
            # RFC 7372 §3.2.
            "451 4.7.24 Message deferred: SPF record with errors",
        ),
        # No rule: no check could say what the message is.
        (
            Reason(CheckName.SPF, "temperror", Action.DEFER, "why"),
            "451 4.7.1 Message cannot be examined now, try again later",
        ),
        (
            Reason(CheckName.STRUCTURE, "exceeded", Action.REFUSE, "why", "checks.structure.exceeded"),
            "554 5.6.0 Message refused: too many or too large parts",
        ),
    ],
)
def test_what_a_rule_puts_off_is_told_by_its_class_and_what_nobody_knows_as_such(reason: Reason, line: str) -> None:
    assert str(reply_to(Verdict(reason.action, (reason,)), ID)) == f"{line} [{ID}]"


BLOCKED = Reason(
    CheckName.ATTACHMENTS, "blocked", Action.QUARANTINE, "a.exe", 'domains."a.test".checks.attachments.blocked'
)
SPAM = Reason(CheckName.ANTISPAM, "spam", Action.TAG, "7.2", "checks.antispam.tag_at", score=7.2, threshold=6.0)
CLEAN = Reason(CheckName.ANTIVIRUS, "clean", Action.ACCEPT, "nothing")
DOWN = Reason(CheckName.ANTIVIRUS, "error", Action.DEFER, "away")


def test_a_rule_is_named_alike_wherever_it_stands() -> None:
    assert [reason.key for reason in (BLOCKED, SPAM, DOWN)] == ["attachments.blocked", "antispam.tag_at", "antivirus"]


@pytest.mark.parametrize(
    ("reasons", "rules", "action"),
    [
        ((BLOCKED, SPAM, CLEAN), ["attachments.blocked"], Action.TAG),
        ((BLOCKED, SPAM, CLEAN), ["attachments.blocked", "antispam.tag_at"], Action.ACCEPT),
        ((BLOCKED, SPAM, CLEAN), ["antispam.tag_at"], Action.QUARANTINE),
        ((BLOCKED, CLEAN), ["attachments"], Action.QUARANTINE),
        ((DOWN, BLOCKED), ["attachments.blocked"], Action.DEFER),
        ((DOWN, BLOCKED), ["antivirus"], Action.QUARANTINE),
        ((), ["attachments.blocked"], Action.ACCEPT),
    ],
)
def test_a_verdict_without_some_rules_is_what_the_others_come_to(
    reasons: tuple[Reason, ...], rules: list[str], action: Action
) -> None:
    decided = without(Verdict(reasons[0].action if reasons else Action.ACCEPT, reasons, 3), rules, "ann")
    assert decided.action is action
    assert decided.policy_version == 3
    assert {one.check for one in decided.reasons} == {one.check for one in reasons}
    for one in decided.reasons:
        assert (one.exemption == "released by ann") is (one.key in rules)


CUT = Reason(CheckName.ATTACHMENTS, "macro", Action.TAG, "b.docm", "checks.attachments.macro")


@pytest.mark.parametrize(
    ("rules", "strip"),
    [
        (["attachments.blocked", "attachments.macro"], ()),
        (["attachments.blocked"], ("2", "3")),
        (["antispam.quarantine_at"], ("2", "3")),
    ],
)
def test_parts_are_taken_out_until_every_rule_that_asks_for_it_is_let_past(
    rules: list[str], strip: tuple[str, ...]
) -> None:
    spam = replace(SPAM, action=Action.QUARANTINE, rule="checks.antispam.quarantine_at")
    held = Verdict(Action.QUARANTINE, (spam, replace(BLOCKED, action=Action.TAG), CUT), 3, strip=("2", "3"))
    assert without(held, rules, "ann").strip == strip


def test_a_subject_tag_is_for_what_is_still_tagged() -> None:
    held = Verdict(Action.QUARANTINE, (BLOCKED, SPAM), 3, subject_tag="[SPAM]")
    assert without(held, ["attachments.blocked"], "ann").subject_tag == "[SPAM]"
    assert without(held, ["attachments.blocked", "antispam.tag_at"], "ann").subject_tag == ""


def test_facts_leave_out_what_is_empty() -> None:
    facts = verdict_facts(Verdict(Action.TAG, (SPAM, CLEAN), 3, subject_tag="[SPAM]"))
    assert facts == {
        "action": "tag",
        "subject_tag": "[SPAM]",
        "reasons": [
            {
                "check": "antispam",
                "result": "spam",
                "action": "tag",
                "evidence": "7.2",
                "rule": "checks.antispam.tag_at",
                "score": 7.2,
                "threshold": 6.0,
            },
            {"check": "antivirus", "result": "clean", "action": "accept", "evidence": "nothing"},
        ],
    }
