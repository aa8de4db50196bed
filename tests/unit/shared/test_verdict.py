"""Rules of what the client is told of a verdict."""

import pytest

from shared.verdict import Action, CheckName, Reason, Verdict, reply_to
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
