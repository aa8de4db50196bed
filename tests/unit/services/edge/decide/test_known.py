"""Recipients that somebody else knows: when nobody has to be asked, and what the client is told."""

import pytest

from services.edge.decide.recipient import NOT_VERIFIED, Known, judge_known, judge_recipient
from services.edge.decide.refusal import Refusal
from services.edge.decide.refusal import RefusalReason as Why
from services.edge.session import Session, Transaction
from shared.address import Address
from shared.envelope import Recipient
from shared.policy import Listener, Purpose, parse_policy
from shared.rewriting.keys import RewritingKeys
from shared.rewriting.resolve import resolve

POLICY = parse_policy(
    """
[domains."list.test"]
route = "mx"
recipients = ["bob"]
[domains."route.test"]
route = "smtp://127.0.0.1:2500"
recipients = "verified"
[domains."directory.test"]
route = "smtp://127.0.0.1:2500"
recipients = "ldap"
"""
)
STRANGER = Session("mx", Listener(purpose=Purpose.INBOUND), "192.0.2.1", 1)
ASKING = pytest.mark.parametrize("domain", ["route.test", "directory.test"])


def refusal_of(local_part: str, domain: str, already: int = 0) -> Refusal | None:
    tx = Transaction("x@away.test", [Recipient("a@list.test")] * already)
    recipient = Address(local_part, domain)
    resolution = resolve(recipient, POLICY, RewritingKeys(), null_sender=False, now=0)
    return judge_recipient(STRANGER, POLICY, tx, recipient, resolution)


def judge(local_part: str, domain: str, already: int = 0) -> Why | None:
    refusal = refusal_of(local_part, domain, already)
    return refusal.reason if refusal else None


@ASKING
def test_a_recipient_is_to_be_asked_for_and_not_taken_unasked(domain: str) -> None:
    assert refusal_of("bob", domain) is NOT_VERIFIED


@ASKING
@pytest.mark.parametrize("local_part", ["postmaster", "Abuse", '"postmaster"'])
def test_postmaster_and_abuse_are_taken_without_asking(local_part: str, domain: str) -> None:
    assert judge(local_part, domain) is None


@ASKING
@pytest.mark.parametrize("local_part", ["x%y", "x!y", '"x@y"'])
def test_nobody_is_asked_for_what_could_be_relayed(local_part: str, domain: str) -> None:
    assert judge(local_part, domain) is Why.RECIPIENT_ROUTED


@ASKING
def test_nobody_is_asked_beyond_the_number_of_recipients(domain: str) -> None:
    assert judge("bob", domain, 100) is Why.TOO_MANY_RECIPIENTS


def test_a_known_recipient_is_taken() -> None:
    assert judge_known(Known.YES) is None


def test_an_unknown_recipient_is_refused_in_the_words_for_one_that_is_not_listed() -> None:
    listed = refusal_of("eve", "list.test")
    assert listed is not None
    assert judge_known(Known.NO) == listed
    assert str(listed.reply).startswith("550 5.1.1 ")


def test_an_unsure_recipient_may_be_tried_again() -> None:
    refusal = judge_known(Known.UNSURE)
    assert refusal is NOT_VERIFIED
    assert refusal.reason is Why.RECIPIENT_NOT_VERIFIED
    assert str(refusal.reply) == "450 4.1.1 Recipient address cannot be verified now, try again later"
