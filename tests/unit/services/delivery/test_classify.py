"""Replies that large providers and common servers really give, and of which kind they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.classify import BounceClass, FailureClass, bounce_class, failure_class, is_too_large
from services.delivery.outcome import Attempt, Outcome, Status, outcome_of
from shared.envelope import Recipient
from shared.reply import Reply

TO = Recipient("b@example.org")
F, B = FailureClass, BounceClass

# whose reply, code, enhanced code, text, class
PUT_OFF: list[tuple[str, int, str, str, FailureClass]] = [
    ("Postgrey", 450, "4.2.0", "<b@x>: Recipient address rejected: Greylisted, see http://postgrey.example", F.GREYLISTED),
    ("sqlgrey", 450, "4.7.1", "<b@x>: Recipient address rejected: Greylisted for 5 minutes", F.GREYLISTED),
    ("milter-greylist", 451, "4.7.1", "Greylisting in action, please come back in 00:04:59", F.GREYLISTED),
    ("Rspamd", 451, "4.7.1", "Try again later", F.GREYLISTED),
    ("Exim", 451, "", "Graylisted, please try again in a few minutes", F.GREYLISTED),
    ("spamd of OpenBSD", 451, "", "Temporary failure, please try again later.", F.GREYLISTED),
    ("postscreen", 450, "4.3.2", "Service currently unavailable", F.GREYLISTED),
    ("Postfix policy server", 450, "4.7.1", "<b@x>: Recipient address rejected: Service is unavailable", F.GREYLISTED),
    ("Gatepost", 451, "4.7.1", "Greylisted; try again in 5 minutes [id]", F.GREYLISTED),
    ("Yahoo", 421, "4.7.0", "[TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1", F.POLICY),
    ("Gmail", 421, "4.7.28", "Our system has detected an unusual rate of unsolicited mail originating from your IP",
     F.POLICY),
    ("Gmail", 421, "4.7.0", "Try again later, closing connection.", F.POLICY),
    ("Gmail", 450, "4.2.1", "The user you are trying to contact is receiving mail at a rate that prevents more", F.OTHER),
    ("Gmail", 452, "4.2.2", "The email account that you tried to reach is over quota.", F.MAILBOX_FULL),
    ("Outlook", 451, "4.7.500", "Server busy. Please try again later from [192.0.2.1]. (S77714)", F.POLICY),
    ("Outlook", 451, "4.7.651", "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.",
     F.POLICY),
    ("Outlook", 421, "", "RP-001 The mail server IP connecting to Outlook server has exceeded the rate limit allowed.",
     F.POLICY),
    ("GMX", 421, "", "mx.example Nemesis ESMTP Service not available; blocked, see https://postmaster.example", F.POLICY),
    ("Dovecot", 452, "4.2.2", "<b@x> Quota exceeded (mailbox for user is full)", F.MAILBOX_FULL),
    ("Exim", 452, "", "space shortage, please try later", F.OTHER),
    ("Courier", 452, "", "Mailbox full", F.MAILBOX_FULL),
    ("Postfix", 452, "4.3.1", "Insufficient system storage", F.OTHER),
    ("anybody, RFC 5321", 452, "", "Requested action not taken: insufficient system storage", F.OTHER),
    ("Postfix", 450, "4.1.1", "<b@x>: Recipient address rejected: unverified address", F.OTHER),
    ("Postfix", 451, "4.3.0", "Error: queue file write error", F.OTHER),
    ("Postfix", 421, "4.3.2", "All server ports are busy", F.CONNECTION),
    ("Sendmail", 421, "4.3.2", "mx.example: Too many connections from 192.0.2.1", F.POLICY),
    ("Exim", 421, "", "mx.example: SMTP command timeout - closing connection", F.CONNECTION),
    ("Sendmail", 451, "4.4.3", "Name server lookup failure", F.NETWORK),
    ("Exchange", 441, "4.4.1", "Error encountered while communicating with primary target IP address", F.NETWORK),
    ("amavis", 451, "4.6.0", "conversion failed for now", F.CONTENT),
    ("Exim", 451, "", "Temporary local problem - please try later", F.OTHER),
    ("anybody", 451, "", "what?", F.OTHER),
    ("anybody", 354, "", "go on", F.OTHER),
]  # fmt: skip

FAILED: list[tuple[str, int, str, str, BounceClass]] = [
    ("Gmail", 550, "5.1.1", "The email account that you tried to reach does not exist.", B.BAD_ADDRESS),
    ("Gmail", 550, "5.2.1", "The email account that you tried to reach is inactive.", B.BAD_ADDRESS),
    ("Gmail", 552, "5.2.2", "The recipient's inbox is out of storage space and inactive.", B.FULL_MAILBOX),
    ("Gmail", 552, "5.7.0", "This message was blocked because its content presents a potential security issue.",
     B.POLICY),
    ("Gmail", 550, "5.7.26", "Your email has been blocked because the sender is unauthenticated.", B.POLICY),
    ("Gmail", 552, "5.3.4", "Your message exceeded Google's message size limits.", B.CONTENT),
    ("Gmail", 550, "5.7.1", "Our system has detected that this message is likely unsolicited mail.", B.POLICY),
    ("Exchange Online", 550, "5.4.1", "Recipient address rejected: Access denied. [name.example]", B.BAD_ADDRESS),
    ("Exchange Online", 550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
     B.BAD_ADDRESS),
    ("Exchange Online", 550, "5.7.606", "Access denied, banned sending IP [192.0.2.1].", B.POLICY),
    ("Exchange Online", 554, "5.2.2", "mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", B.FULL_MAILBOX),
    ("Exchange Online", 550, "5.2.3", "RESOLVER.RST.RecipSizeLimit; message too large for this recipient", B.CONTENT),
    ("Outlook", 550, "5.5.0", "Requested action not taken: mailbox unavailable (S2017062302).", B.BAD_ADDRESS),
    ("Outlook", 550, "5.7.1", "messages from [192.0.2.1] weren't sent; their network is on our block list (S3140).", B.POLICY),
    ("Yahoo", 554, "", "delivery error: dd This user doesn't have a yahoo.com account (b@x) [0]", B.BAD_ADDRESS),
    ("Yahoo", 554, "", "delivery error: dd Not a valid recipient - mta1", B.BAD_ADDRESS),
    ("Yahoo", 554, "5.7.9", "Message not accepted for policy reasons.", B.POLICY),
    ("iCloud", 550, "5.1.1", "<b@x>: user lookup success but no user record found", B.BAD_ADDRESS),
    ("iCloud", 552, "5.2.2", "<b@x>: user is over quota", B.FULL_MAILBOX),
    ("GMX", 550, "", "Requested action not taken: mailbox unavailable", B.BAD_ADDRESS),
    ("GMX", 554, "", "Transaction failed; Reject due to policy restrictions.", B.POLICY),
    ("Mail.ru", 550, "", "Message was not accepted -- invalid mailbox. Local mailbox b@x is unavailable: user not found",
     B.BAD_ADDRESS),
    ("Mail.ru", 550, "", "spam message rejected. Please visit http://help.example", B.POLICY),
    ("Comcast", 550, "5.1.1", "Not our Customer", B.BAD_ADDRESS),
    ("Postfix", 550, "5.1.1", "<b@x>: Recipient address rejected: User unknown in local recipient table", B.BAD_ADDRESS),
    ("Postfix", 554, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.example", B.POLICY),
    ("Postfix", 554, "5.7.1", "<b@x>: Recipient address rejected: Access denied", B.POLICY),
    ("Postfix", 550, "5.1.2", "<b@x>: Recipient address rejected: Domain not found", B.BAD_ADDRESS),
    ("Postfix", 550, "5.1.8", "<a@y>: Sender address rejected: Domain not found", B.POLICY),
    ("anybody", 550, "", "Sender address rejected: Domain not found", B.POLICY),
    ("Gmail", 550, "5.7.1", "The IP you're using is not authorized to send email directly to our servers.", B.POLICY),
    ("Postfix", 554, "5.7.1", "<b@x>: Relay access denied", B.POLICY),
    ("Postfix", 552, "5.3.4", "Message size exceeds fixed limit", B.CONTENT),
    ("Postfix", 554, "5.4.6", "Error: too many hops", B.NETWORK),
    ("Dovecot", 552, "5.2.2", "<b@x> Quota exceeded (mailbox for user is full)", B.FULL_MAILBOX),
    ("Exim", 550, "", "Unrouteable address", B.BAD_ADDRESS),
    ("Exim", 550, "", "relay not permitted", B.POLICY),
    ("Exim", 550, "", "Administrative prohibition", B.POLICY),
    ("Exim", 550, "", "This message contains a virus (Eicar).", B.CONTENT),
    ("Exim", 552, "", "message size exceeds maximum permitted", B.CONTENT),
    ("Sendmail", 550, "5.1.1", "<b@x>... User unknown", B.BAD_ADDRESS),
    ("Sendmail", 553, "5.1.8", "<a@y>... Domain of sender address a@y does not exist", B.POLICY),
    ("Sendmail", 553, "5.3.0", "<b@x>... No such user here", B.BAD_ADDRESS),
    ("qmail", 553, "", "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", B.BAD_ADDRESS),
    ("qmail", 511, "", "sorry, no mailbox here by that name (#5.1.1 - chkuser)", B.BAD_ADDRESS),
    ("anybody, RFC 7504", 521, "", "host does not accept mail", B.BAD_ADDRESS),
    ("anybody, RFC 7505", 556, "5.1.10", "null MX", B.BAD_ADDRESS),
    ("anybody", 550, "5.6.7", "no SMTPUTF8 here", B.CONTENT),
    ("anybody", 554, "5.6.0", "no", B.CONTENT),
    ("anybody", 552, "", "no", B.FULL_MAILBOX),
    ("anybody", 554, "", "no", B.UNKNOWN),
    ("anybody", 550, "5.0.0", "no", B.UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("whose", "code", "enhanced", "text", "failure"), PUT_OFF)
def test_why_a_recipient_is_put_off(whose: str, code: int, enhanced: str, text: str, failure: FailureClass) -> None:
    outcome = Outcome(TO, Status.DEFERRED, Reply(code, enhanced, text))
    assert failure_class(outcome, Attempt((outcome,))) is failure, whose


@pytest.mark.parametrize(("whose", "code", "enhanced", "text", "bounce"), FAILED)
def test_why_a_recipient_has_failed(whose: str, code: int, enhanced: str, text: str, bounce: BounceClass) -> None:
    assert bounce_class(outcome_of(TO, Reply(code, enhanced, text))) is bounce, whose


@pytest.mark.parametrize(
    ("enhanced", "failure"),
    [
        ("4.4.1", F.CONNECTION),
        ("4.4.2", F.CONNECTION),
        ("4.4.7", F.CONNECTION),
        ("4.3.2", F.CONNECTION),
        ("4.4.3", F.NETWORK),
        ("4.7.5", F.POLICY),
        ("4.3.0", F.OTHER),
    ],
)
def test_what_we_say_for_want_of_a_reply(enhanced: str, failure: FailureClass) -> None:
    outcome = outcome_of(
        TO, Reply(451, enhanced, "Greylisted, quota, spam: no word of ours is looked at"), remote=False
    )
    assert failure_class(outcome, Attempt((outcome,))) is failure


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (Reply(421, "4.3.2", "too busy"), F.CONNECTION),
        (Reply(450, "4.3.2", "Service currently unavailable"), F.CONNECTION),
        (Reply(421, "4.7.0", "too many connections from you"), F.POLICY),
    ],
)
def test_a_hop_that_does_not_speak_with_us_at_all(reply: Reply, failure: FailureClass) -> None:
    outcome = outcome_of(TO, reply)
    assert failure_class(outcome, Attempt((outcome,), hop_failed="greeting answered 4xx")) is failure


@pytest.mark.parametrize(
    "reply",
    [
        Reply(452, "4.5.3", "Error: too many recipients"),
        Reply(452, "", "Too many recipients received this hour"),
        Reply(552, "5.5.3", "too many recipients"),
        Reply(552, "", "Too many recipients"),
    ],
)
def test_too_many_recipients_is_a_class_of_its_own_where_others_were_taken(reply: Reply) -> None:
    late = Outcome(TO, Status.DEFERRED, reply)
    taken = outcome_of(Recipient("c@example.org"), Reply(250, "2.0.0", "ok"))
    assert failure_class(late, Attempt((taken, late))) is F.TOO_MANY
    assert failure_class(late, Attempt((late,))) is F.OTHER


@pytest.mark.parametrize(
    ("reply", "bounce"),
    [
        (Reply(451, "4.4.1", "no connection within 15 s"), B.NETWORK),
        (Reply(451, "4.4.7", "given up"), B.NETWORK),
        (Reply(452, "4.2.2", "over quota"), B.FULL_MAILBOX),
        (Reply(450, "4.2.0", "Greylisted"), B.POLICY),
        (Reply(451, "4.7.1", "try again later"), B.POLICY),
        (Reply(421, "", "closing"), B.NETWORK),
        (Reply(451, "4.3.0", "Local error in delivery"), B.UNKNOWN),
    ],
)
def test_what_was_given_up_is_of_the_kind_of_its_last_reply(reply: Reply, bounce: BounceClass) -> None:
    assert bounce_class(Outcome(TO, Status.FAILED, reply)) is bounce


@given(st.text(max_size=2000), st.sampled_from([250, 354, 421, 450, 452, 550, 552, 554]))
def test_any_text_has_a_class(text: str, code: int) -> None:
    outcome = Outcome(TO, Status.FAILED if code >= 500 else Status.DEFERRED, Reply(code, "", text))
    assert failure_class(outcome, Attempt((outcome,))) in FailureClass
    assert bounce_class(outcome) in BounceClass


def test_a_long_hostile_text_is_looked_at_quickly() -> None:
    for text in ("user " * 100_000, "exceeds the " * 100_000, "a" * 1_000_000, "storage over " * 100_000):
        outcome = outcome_of(TO, Reply(550, "", text))
        assert bounce_class(outcome) in BounceClass


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(552, "5.3.4", "Message of 9 octets, the next hop takes 8"), True),
        (Reply(550, "5.2.3", "RESOLVER.RST.RecipSizeLimit"), True),
        (Reply(552, "", "too much mail data"), True),
        (Reply(552, "5.2.2", "over quota"), False),
        (Reply(550, "5.1.1", "no such user"), False),
        (Reply(452, "4.3.4", "too large for now"), False),
    ],
)
def test_a_size_that_is_refused_is_known(reply: Reply, *, expected: bool) -> None:
    assert is_too_large(outcome_of(TO, reply)) is expected
