"""Rules of what a message adds to aggregate reports: what was published, seen and done, and why they differ."""

import json
from dataclasses import replace

import pytest

from services.content.auth.results import (
    Disposition,
    DkimReason,
    DkimResult,
    DkimWord,
    DmarcResult,
    DmarcWord,
    PublishedPolicy,
)
from services.content.authenticity import Authenticity
from services.content.dmarc_facts import dmarc_seen
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from shared.dmarc_seen import DmarcSeen, Override, read_seen, seen_facts
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.event import Event, EventKind, Stage, encode_events
from shared.verdict import Action, CheckName, Reason, Verdict

ENVELOPE = Envelope(
    id="01m85rrw9tejgajt89hfcgzyx2",
    received_at=0,
    listener="mx",
    direction=Direction.INBOUND,
    client=Client("192.0.2.1", 4000, "mail.sender.test"),
    sender="joe@Bounce.bank.test",
    recipients=(Recipient("demo@gatepost.test"),),
    size_bytes=100,
)
RECORD = PublishedPolicy("bank.test", Disposition.REJECT, rua=("mailto:dmarc@bank.test",))
FAILED = DmarcResult(
    DmarcWord.FAIL,
    "neither",
    "mail.bank.test",
    "bank.test",
    Disposition.REJECT,
    Disposition.REJECT,
    record=RECORD,
)
SPF = SpfResult(SpfWord.PASS, SpfIdentity.MAIL_FROM, "bounce.bank.test", "e")
DKIM = (
    DkimResult(DkimWord.FAIL, DkimReason.BODY_CHANGED, "e", "bank.test", "s1"),
    DkimResult(DkimWord.NONE, DkimReason.NO_SIGNATURE, "e"),
)
SEEN = Authenticity(spf=SPF, dkim=DKIM, dmarc=FAILED, organization="bank.test")


def verdict(action: Action, rule: str = "checks.dmarc.reject", exemption: str = "") -> dict[str, Verdict]:
    reason = Reason(CheckName.DMARC, "fail", action, "e", rule, exemption=exemption)
    return {"gatepost.test": Verdict(action, (reason,))}


def only(seen: Authenticity, verdicts: dict[str, Verdict]) -> DmarcSeen:
    [found] = dmarc_seen(ENVELOPE, seen, verdicts)
    return found


def test_a_failure_that_was_refused_is_told_as_the_owner_asked_for_it() -> None:
    found = only(SEEN, verdict(Action.REFUSE))
    assert (found.disposition, found.overrides) == ("reject", ())
    assert (found.header_from, found.envelope_from, found.source) == ("mail.bank.test", "bounce.bank.test", "192.0.2.1")
    assert [(one.domain, one.selector, one.result) for one in found.dkim] == [("bank.test", "s1", "fail")]
    assert (found.spf_domain, found.spf_result) == ("bounce.bank.test", "pass")


@pytest.mark.parametrize(
    ("verdicts", "done", "override"),
    [
        (verdict(Action.QUARANTINE), "quarantine", Override("local_policy")),
        (verdict(Action.ACCEPT, exemption="list: known"), "none", Override("local_policy", "list: known")),
        (
            verdict(Action.ACCEPT, "checks.arc.trusted"),
            "none",
            Override("trusted_forwarder", "arc=pass of a trusted sealer"),
        ),
        (
            {"gatepost.test": Verdict(Action.ACCEPT)},
            "none",
            Override("local_policy", "DMARC is not acted upon here"),
        ),
    ],
)
def test_what_was_done_otherwise_says_why(verdicts: dict[str, Verdict], done: str, override: Override) -> None:
    found = only(SEEN, verdicts)
    assert (found.disposition, found.overrides) == (done, (override,))


def test_a_domain_that_is_testing_is_told_so() -> None:
    testing = replace(FAILED, testing=True, disposition=Disposition.QUARANTINE, record=replace(RECORD, testing=True))
    found = only(replace(SEEN, dmarc=testing), verdict(Action.QUARANTINE, "checks.dmarc.quarantine"))
    assert (found.published.t, found.overrides) == ("y", (Override("policy_test_mode"),))


@pytest.mark.parametrize(
    "dmarc",
    [
        None,
        replace(FAILED, word=DmarcWord.TEMPERROR),
        replace(FAILED, word=DmarcWord.NONE, record=None),
        replace(FAILED, record=replace(RECORD, rua=())),
    ],
)
def test_nothing_is_told_where_nobody_asked_or_nobody_knows(dmarc: DmarcResult | None) -> None:
    assert dmarc_seen(ENVELOPE, replace(SEEN, dmarc=dmarc), verdict(Action.REFUSE)) == []


def test_what_is_put_off_is_told_when_it_is_decided() -> None:
    assert dmarc_seen(ENVELOPE, SEEN, verdict(Action.DEFER)) == []


def test_it_comes_through_an_event_as_it_was() -> None:
    found = only(SEEN, verdict(Action.QUARANTINE))
    event = Event("u", ENVELOPE.id, 1.0, Stage.CONTENT, "h", EventKind.DMARC_SEEN, seen_facts(found))
    assert encode_events([event])

    assert read_seen(json.dumps(seen_facts(found))) == found
