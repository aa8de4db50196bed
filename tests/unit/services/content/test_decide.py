"""Rules of the decision: which action wins, and what the client hears when domains differ."""

import itertools

import pytest

from services.content.decide import common_verdict, decide
from services.content.finding import Finding, unsure
from shared.policy import parse_policy
from shared.verdict import Action, CheckName, Verdict, reply_to

ID = "01m85rrw9tejgajt89hfcgzyx2"
POLICY = """
[checks.spf]
fail = "quarantine"
softfail = "tag"
[domains."strict.test"]
route = "mx"
recipients = "any"
[domains."strict.test".checks.spf]
fail = "refuse"
[domains."lax.test"]
route = "mx"
recipients = "any"
checks.spf.fail = "accept"
checks.antivirus.enabled = false
"""
CLEAN = Finding(CheckName.ANTIVIRUS, "clean", "ClamAV found nothing.")
INFECTED = Finding(CheckName.ANTIVIRUS, "infected", "ClamAV found X.", rule="infected")
SPF_FAIL = Finding(CheckName.SPF, "fail", "no", rule="fail")
SPF_SOFTFAIL = Finding(CheckName.SPF, "softfail", "perhaps", rule="softfail")
ENGINE_DOWN = unsure(CheckName.ANTIVIRUS, "error", "clamd is down")
DMARC_REJECT = Finding(CheckName.DMARC, "fail", "asks for reject", rule="reject")


def verdict(*findings: Finding, domain: str = "common.test") -> Verdict:
    return decide(findings, parse_policy(POLICY), 7, [domain])[domain]


@pytest.mark.parametrize(
    ("findings", "action", "decisive"),
    [
        ((), Action.ACCEPT, None),
        ((CLEAN,), Action.ACCEPT, CheckName.ANTIVIRUS),
        ((CLEAN, SPF_SOFTFAIL), Action.TAG, CheckName.SPF),
        ((SPF_SOFTFAIL, SPF_FAIL), Action.QUARANTINE, CheckName.SPF),
        ((SPF_FAIL, ENGINE_DOWN), Action.DEFER, CheckName.ANTIVIRUS),
        ((ENGINE_DOWN, DMARC_REJECT), Action.REFUSE, CheckName.DMARC),
        ((SPF_FAIL, INFECTED), Action.REFUSE, CheckName.ANTIVIRUS),
    ],
)
def test_refuse_beats_defer_beats_quarantine_beats_tag(
    findings: tuple[Finding, ...], action: Action, decisive: CheckName | None
) -> None:
    for order in itertools.permutations(findings):
        decided = verdict(*order)
        assert decided.action is action
        assert decided.policy_version == 7
        if decisive:
            assert decided.reasons[0].check is decisive


def test_an_engine_that_is_down_never_accepts() -> None:
    assert verdict(ENGINE_DOWN, CLEAN).action is Action.DEFER


def test_a_domains_own_rules_replace_the_common_ones_key_by_key() -> None:
    assert verdict(SPF_FAIL, domain="strict.test").action is Action.REFUSE
    assert verdict(SPF_SOFTFAIL, domain="strict.test").action is Action.TAG
    assert verdict(SPF_FAIL, domain="lax.test").action is Action.ACCEPT


def test_a_check_that_is_switched_off_has_no_say() -> None:
    assert verdict(INFECTED, domain="lax.test").action is Action.ACCEPT
    assert verdict(ENGINE_DOWN, domain="lax.test").action is Action.ACCEPT


def test_a_verdict_keeps_every_reason() -> None:
    decided = verdict(CLEAN, SPF_FAIL, DMARC_REJECT)
    assert [reason.check for reason in decided.reasons] == [CheckName.DMARC, CheckName.SPF, CheckName.ANTIVIRUS]


@pytest.mark.parametrize(
    ("actions", "code"),
    [
        ([Action.REFUSE, Action.REFUSE], 550),
        ([Action.DEFER, Action.DEFER], 451),
        ([Action.ACCEPT, Action.REFUSE], 250),
        ([Action.DEFER, Action.REFUSE], 250),
        ([Action.QUARANTINE, Action.TAG], 250),
    ],
)
def test_the_client_hears_a_refusal_only_if_all_domains_agree(actions: list[Action], code: int) -> None:
    decided = verdict(INFECTED)
    verdicts = {f"d{number}.test": Verdict(action, decided.reasons, 1) for number, action in enumerate(actions)}
    assert reply_to(common_verdict(verdicts), ID).code == code


def test_a_refusal_names_the_class_of_reason_and_the_id_and_no_evidence() -> None:
    reply = reply_to(verdict(INFECTED), ID)
    assert str(reply) == f"550 5.7.1 Message refused: malware found [{ID}]"
