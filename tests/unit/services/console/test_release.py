"""Rules of a release: which rule a held mail is let past, what still holds it, and in which form it goes on."""

from dataclasses import replace

import pytest

from services.console.release import HeldCopy, Released, StillHeld, Wish, release_all
from shared.envelope import Envelope, Retry
from shared.verdict import Action, CheckName, Reason, Verdict
from tests.unit.shared.samples import LEAST

NOW = 1_900_000_000.0
FORGED = b"Authentication-Results: mx.test; dmarc=pass\r\n"
FOREIGN = b"Authentication-Results: elsewhere.test; spf=pass\r\n"
MESSAGE = FORGED + FOREIGN + b"Subject: hello\r\n\r\nbody\r\n"
RESULTS = "mx.test; spf=fail smtp.mailfrom=a.test"
OURS = f"Authentication-Results: {RESULTS}\r\n".encode()

SPAM = Reason(CheckName.ANTISPAM, "scored", Action.QUARANTINE, "11", "checks.antispam.quarantine_at", threshold=10)
MACRO = Reason(CheckName.ATTACHMENTS, "macro", Action.QUARANTINE, "a.docm has macros.", "checks.attachments.macro")
LOCKED = Reason(CheckName.ATTACHMENTS, "encrypted", Action.TAG, "b.zip", "checks.attachments.encrypted")
VIRUS = Reason(CheckName.ANTIVIRUS, "infected", Action.REFUSE, "Eicar", 'domains."a.test".checks.antivirus.infected')
NO_SCAN = Reason(CheckName.ANTIVIRUS, "error", Action.DEFER, "clamd is away.")
CLEAN = Reason(CheckName.ANTIVIRUS, "clean", Action.ACCEPT, "nothing")


def envelope(*reasons: Reason, subject_tag: str = "", results: str = RESULTS) -> Envelope:
    verdict = Verdict(reasons[0].action, reasons, 3, subject_tag=subject_tag)
    return replace(
        LEAST, verdict=verdict, results=results, retry=Retry(attempts=9, last_reply="450"), hop="smtp://x:25"
    )


def copy(*reasons: Reason, reason: str = "quarantine", subject_tag: str = "") -> HeldCopy:
    return HeldCopy(envelope(*reasons, subject_tag=subject_tag), MESSAGE, reason)


def let_go(held: HeldCopy, *rules: str, again: bool = False, unexamined: bool = False) -> Released:
    [released] = release_all([held], Wish("ann", rules, again=again, unexamined=unexamined), NOW)
    return released


def refused(held: HeldCopy, *rules: str, again: bool = False, unexamined: bool = False) -> str:
    with pytest.raises(StillHeld) as caught:
        let_go(held, *rules, again=again, unexamined=unexamined)
    return str(caught.value)


@pytest.mark.parametrize(
    ("reasons", "rules", "past", "action"),
    [
        ((SPAM, CLEAN), (), ("antispam.quarantine_at",), Action.ACCEPT),
        ((SPAM, LOCKED, CLEAN), (), ("antispam.quarantine_at",), Action.TAG),
        ((SPAM, LOCKED), ("antispam.quarantine_at", "attachments.encrypted"), None, Action.ACCEPT),
        ((VIRUS,), ("antivirus.infected",), None, Action.ACCEPT),
        ((VIRUS,), ('domains."a.test".checks.antivirus.infected',), ("antivirus.infected",), Action.ACCEPT),
        ((SPAM, MACRO), ("attachments.macro", "antispam.quarantine_at"), None, Action.ACCEPT),
    ],
)
def test_a_mail_is_let_past_the_named_rules_or_the_decisive_one(
    reasons: tuple[Reason, ...], rules: tuple[str, ...], past: tuple[str, ...] | None, action: Action
) -> None:
    released = let_go(copy(*reasons), *rules)
    assert released.rules == (past or rules)
    assert released.envelope.verdict is not None
    assert released.envelope.verdict.action is action
    for reason in released.envelope.verdict.reasons:
        assert (reason.exemption == "released by ann") is (reason.key in released.rules)


def test_another_rule_still_holds_it_and_the_command_is_told() -> None:
    text = refused(copy(SPAM, MACRO, CLEAN))
    assert "attachments.macro asks for quarantine (a.docm has macros)" in text
    command = f"gatepost quarantine release {LEAST.id} --rule antispam.quarantine_at --rule attachments.macro"
    assert f"`{command}`" in text


def test_a_rule_that_the_verdict_does_not_know_is_no_rule() -> None:
    assert "antispam.quarantine_at" in refused(copy(SPAM, CLEAN), "antispam.refuse_at")
    assert "antispam.quarantine_at" in refused(copy(SPAM, CLEAN), "antivirus.infected")


def test_a_rule_of_one_copy_may_be_named_for_all() -> None:
    both = [copy(SPAM), copy(MACRO)]
    rules = ("antispam.quarantine_at", "attachments.macro")
    assert len(release_all(both, Wish("ann", rules), NOW)) == 2
    with pytest.raises(StillHeld):
        release_all(both, Wish("ann", rules[:1]), NOW)


def test_what_no_check_could_tell_is_not_let_go_by_accident() -> None:
    held = copy(NO_SCAN, SPAM, reason="undecided")
    text = refused(held)
    assert "antivirus never came to a result (clamd is away.)" in text
    assert "--again" in text
    assert "--rule antivirus`" in text
    assert "antispam.quarantine_at" in refused(held, unexamined=True)
    assert let_go(copy(NO_SCAN, CLEAN, reason="undecided"), unexamined=True).rules == ("antivirus",)
    assert let_go(copy(NO_SCAN, reason="undecided"), "antivirus").rules == ("antivirus",)


def test_what_was_never_examined_needs_a_word() -> None:
    held = HeldCopy(replace(LEAST, verdict=None), MESSAGE, "poison")
    assert "--unexamined" in refused(held)
    assert let_go(held, unexamined=True).envelope.verdict is None
    assert let_go(held, again=True).rules == ()


def test_delivery_gets_it_whole_with_the_results_of_its_receipt_on_top() -> None:
    released = let_go(copy(SPAM))
    assert released.message == OURS + FOREIGN + b"Subject: hello\r\n\r\nbody\r\n"
    sent = released.envelope
    assert (sent.id, sent.results, sent.size_bytes, sent.bypass) == (LEAST.id, "", len(released.message), ())
    assert (sent.retry, sent.hop, sent.received_at) == (Retry(), None, NOW)


def test_what_is_left_tags_it() -> None:
    released = let_go(copy(SPAM, LOCKED, subject_tag="[LOOK]"))
    top = b"X-Gatepost-Tag: suspicious (attachments)\r\n" + OURS
    assert released.message == top + FOREIGN + b"Subject: [LOOK] hello\r\n\r\nbody\r\n"


def test_the_verdict_is_shown_where_its_policy_wants_it() -> None:
    [released] = release_all([copy(SPAM)], Wish("ann"), NOW, shown={3})
    assert released.message.startswith(b"X-Gatepost-Verdict: accept; id=")
    [released] = release_all([copy(SPAM)], Wish("ann"), NOW, shown={4})
    assert released.message.startswith(OURS)


def test_without_results_nobody_elses_are_believed() -> None:
    held = HeldCopy(envelope(SPAM, results=""), MESSAGE, "quarantine")
    assert let_go(held).message == b"Subject: hello\r\n\r\nbody\r\n"


def test_a_stripped_mail_goes_out_whole() -> None:
    stripped = replace(copy(LOCKED, CLEAN, reason="stripped").envelope, results=RESULTS)
    verdict = Verdict(Action.TAG, (LOCKED, CLEAN), 3, strip=("2",))
    released = let_go(HeldCopy(replace(stripped, verdict=verdict), MESSAGE, "stripped"))
    assert released.rules == ("attachments.encrypted",)
    assert released.envelope.verdict is not None
    assert (released.envelope.verdict.action, released.envelope.verdict.strip) == (Action.ACCEPT, ())
    assert released.message == OURS + FOREIGN + b"Subject: hello\r\n\r\nbody\r\n"


def test_what_delivery_held_goes_out_as_it_is() -> None:
    held = HeldCopy(envelope(LOCKED, results=""), MESSAGE, "undeliverable")
    released = let_go(held)
    assert (released.message, released.rules, released.envelope.verdict) == (MESSAGE, (), held.envelope.verdict)


@pytest.mark.parametrize(
    ("reasons", "rules", "past"),
    [
        ((SPAM, CLEAN), (), ("antispam.quarantine_at",)),
        ((SPAM, MACRO), (), ("antispam.quarantine_at",)),
        ((SPAM, CLEAN), ("none",), ()),
        ((SPAM, CLEAN), ("attachments.blocked",), ("attachments.blocked",)),
        ((NO_SCAN,), (), ()),
    ],
)
def test_what_is_judged_again_goes_as_it_was_received_past_those_rules(
    reasons: tuple[Reason, ...], rules: tuple[str, ...], past: tuple[str, ...]
) -> None:
    released = let_go(copy(*reasons), *rules, again=True)
    sent = released.envelope
    assert (released.message, released.rules, sent.bypass, sent.released_by) == (MESSAGE, past, past, "ann")
    assert (sent.verdict, sent.results, sent.retry, sent.size_bytes) == (None, "", Retry(), len(MESSAGE))
    assert sent.client == LEAST.client


def test_judging_again_takes_no_rule_of_a_check_that_is_none() -> None:
    assert "horoscope.bad" in refused(copy(SPAM), "horoscope.bad", again=True)


def test_what_the_policy_takes_out_is_not_let_go_by_a_release_past_another_rule() -> None:
    cut = replace(MACRO, action=Action.TAG)
    held = copy(SPAM, cut, CLEAN)
    verdict = Verdict(Action.QUARANTINE, (SPAM, cut, CLEAN), 3, strip=("2",))
    held = replace(held, envelope=replace(held.envelope, verdict=verdict))
    text = refused(held)
    assert "attachments.macro takes something out of it" in text
    assert f"`gatepost quarantine release {LEAST.id} --again`" in text
    whole = let_go(held, "antispam.quarantine_at", "attachments.macro")
    assert whole.message.endswith(b"\r\n\r\nbody\r\n")
