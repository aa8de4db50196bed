"""Rules of the decision: which action wins, and what the client hears when domains differ."""

import itertools

import pytest

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.decide import common_verdict, decide
from services.content.finding import Finding, unsure
from services.content.rulebook import RuleBook
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.policy import parse_policy
from shared.policy.exemption import Mail
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


def verdict(
    *findings: Finding,
    domain: str = "common.test",
    policy: str = POLICY,
    direction: Direction = Direction.INBOUND,
    sender: str = "joe@sender.test",
    mail: Mail | None = None,
    bypass: tuple[str, ...] = (),
) -> Verdict:
    envelope = Envelope(
        id=ID,
        received_at=0,
        listener="mx",
        direction=direction,
        client=Client("192.0.2.1", 4000, "helo.test"),
        sender=sender,
        recipients=(Recipient(f"demo@{domain}"),),
        size_bytes=100,
        bypass=bypass,
        released_by="ann" if bypass else "",
    )
    asked = mail or Mail(direction.value, "192.0.2.1", "mail.sender.test", sender, proved=True, login=None)
    return decide(findings, RuleBook(parse_policy(policy), 7), envelope, asked)[domain]


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


def test_a_reason_names_the_rule_as_it_stands_in_the_policy() -> None:
    assert verdict(SPF_FAIL).reasons[0].rule == "checks.spf.fail"
    assert verdict(SPF_FAIL, domain="strict.test").reasons[0].rule == 'domains."strict.test".checks.spf.fail'
    # strict.test says nothing of its own about DMARC: the common table is where to change it.
    assert verdict(DMARC_REJECT, domain="strict.test").reasons[0].rule == "checks.dmarc.reject"


OUTBOUND = """
[checks.antivirus]
infected = "quarantine"
[outbound.antivirus]
infected = "refuse"
[domains."ours.test"]
route = "mx"
recipients = "any"
outbound.antivirus.infected = "defer"
"""


@pytest.mark.parametrize(
    ("direction", "sender", "action", "rule"),
    [
        (Direction.INBOUND, "joe@ours.test", Action.QUARANTINE, "checks.antivirus.infected"),
        (Direction.OUTBOUND, "joe@other.test", Action.REFUSE, "outbound.antivirus.infected"),
        (Direction.OUTBOUND, "joe@OURS.test", Action.DEFER, 'domains."ours.test".outbound.antivirus.infected'),
        (Direction.OUTBOUND, "", Action.REFUSE, "outbound.antivirus.infected"),
    ],
)
def test_outbound_mail_is_judged_by_the_rules_of_its_senders_domain(
    direction: Direction, sender: str, action: Action, rule: str
) -> None:
    decided = verdict(INFECTED, policy=OUTBOUND, direction=direction, sender=sender)
    assert (decided.action, decided.reasons[0].rule) == (action, rule)


def test_outbound_rules_are_those_of_inbound_mail_but_for_what_they_change() -> None:
    policy = '[checks.antivirus]\nencrypted = "refuse"\n[outbound.antivirus]\ninfected = "defer"\n'
    encrypted = Finding(CheckName.ANTIVIRUS, "encrypted", "locked", rule="encrypted")
    decided = verdict(encrypted, policy=policy, direction=Direction.OUTBOUND)
    assert decided.action is Action.REFUSE


EXEMPT = """
[checks.spf]
fail = "refuse"
[[exemptions]]
name = "forwarder"
reason = "the old provider forwards for us"
checks = ["spf"]
"""


def mail(**changes: object) -> Mail:
    facts = {"direction": "inbound", "address": "192.0.2.1", "name": "out.old.test", "sender": "joe@sender.test"}
    return Mail(**(facts | {"proved": True, "login": None} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("matcher", "facts", "exempt"),
    [
        ('networks = ["192.0.2.0/24"]', {}, True),
        ('networks = ["198.51.100.0/24"]', {}, False),
        ('networks = ["192.0.2.0/24"]', {"address": "::ffff:192.0.2.7"}, True),
        ('reverse_names = [".old.test"]', {}, True),
        ('reverse_names = [".old.test"]', {"name": None}, False),
        ('senders = ["@sender.test"]', {}, True),
        # Anybody can write another's address into MAIL FROM.
        ('senders = ["@sender.test"]', {"proved": False}, False),
        ('senders = ["<>"]', {"sender": "", "proved": False}, False),
        ('logins = ["ann"]', {"login": "Ann"}, True),
        ('logins = ["ann"]', {}, False),
        ('domains = ["common.test"]', {}, True),
        ('domains = ["else.test"]', {}, False),
        ('domains = ["common.test"]\ndirection = "outbound"', {}, False),
        ('networks = ["192.0.2.0/24"]\nsenders = ["@else.test"]', {}, False),
    ],
)
def test_an_exemption_needs_all_of_its_matchers(matcher: str, facts: dict[str, object], exempt: bool) -> None:
    decided = verdict(SPF_FAIL, policy=EXEMPT + matcher, mail=mail(**facts))
    assert decided.action is (Action.ACCEPT if exempt else Action.REFUSE)
    if exempt:
        assert decided.reasons[0].exemption == "forwarder: the old provider forwards for us"
        assert decided.reasons[0].result == "fail", "what the check saw still stands there"


def test_an_exemption_is_for_its_checks_alone() -> None:
    policy = EXEMPT + 'networks = ["192.0.2.0/24"]'
    assert verdict(SPF_FAIL, INFECTED, policy=policy, mail=mail()).action is Action.REFUSE


def test_an_engine_that_is_down_holds_up_nobody_who_is_exempt_from_it() -> None:
    policy = EXEMPT.replace('"spf"', '"antivirus"') + 'networks = ["192.0.2.0/24"]'
    assert verdict(ENGINE_DOWN, policy=policy, mail=mail()).action is Action.ACCEPT


ARC = """
[checks.arc]
trusted_sealers = ["list.test", "relay.test"]
trusted = "tag"
"""
CHAIN = ArcResult(ArcWord.PASS, "sealed", ("list.test", "relay.test"), dmarc_passed=True)


@pytest.mark.parametrize(
    ("chain", "action"),
    [
        (CHAIN, Action.TAG),
        (ArcResult(ArcWord.FAIL, "broken", CHAIN.sealers, dmarc_passed=True), Action.REFUSE),
        (ArcResult(ArcWord.PASS, "sealed", CHAIN.sealers), Action.REFUSE),
        (ArcResult(ArcWord.PASS, "sealed", ("list.test", "evil.test"), dmarc_passed=True), Action.REFUSE),
        (ArcResult(ArcWord.PASS, "sealed", (), dmarc_passed=True), Action.REFUSE),
    ],
)
def test_only_sealers_who_are_all_trusted_soften_a_dmarc_failure(chain: ArcResult, action: Action) -> None:
    arc = Finding(CheckName.ARC, chain.word.value, chain.evidence, detail=chain)
    assert verdict(DMARC_REJECT, arc, policy=ARC).action is action


def test_a_trusted_sealer_helps_against_no_other_check() -> None:
    arc = Finding(CheckName.ARC, "pass", "sealed", detail=CHAIN)
    assert verdict(DMARC_REJECT, arc, INFECTED, policy=ARC).action is Action.REFUSE
    lenient = ARC.replace('"tag"', '"accept"')
    assert verdict(DMARC_REJECT, arc, policy=lenient).reasons[0].rule == "checks.arc.trusted"


def test_a_brake_is_decided_by_its_own_table() -> None:
    braked = Finding(CheckName.BRAKE, "braked", "too much spam", rule="braked")
    decided = verdict(braked, policy='[brake]\nbraked = "refuse"', direction=Direction.OUTBOUND)
    assert (decided.action, decided.reasons[0].rule) == (Action.REFUSE, "brake.braked")


def test_what_a_release_names_is_bypassed_and_nothing_else() -> None:
    assert verdict(INFECTED, bypass=("antivirus.infected",)).action is Action.ACCEPT
    assert verdict(INFECTED, DMARC_REJECT, bypass=("antivirus.infected",)).action is Action.REFUSE
