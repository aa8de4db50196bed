"""The rules of edge, as tables."""

from dataclasses import replace

import pytest

from services.edge.data import Flaw
from services.edge.decide.recipient import complete, judge_recipient
from services.edge.decide.refusal import RefusalReason as Why
from services.edge.decide.sender import judge_client, judge_sender
from services.edge.decide.size import judge_declared_size, refusal_of
from services.edge.session import Session, Transaction
from shared.accounts import Account
from shared.address import Address
from shared.envelope import Proof, Recipient
from shared.policy import Listener, Policy, Purpose, TlsMode, parse_policy
from shared.rewriting.keys import RewritingKeys
from shared.rewriting.resolve import resolve

POLICY = parse_policy(
    """
relay.networks = ["10.0.0.0/8"]
[domains."ours.test"]
route = "mx"
recipients = ["bob", "a%b"]
[domains."any.test"]
route = "mx"
recipients = "any"
"""
)
STRANGER = Session("mx", Listener(purpose=Purpose.INBOUND), "192.0.2.1", 1)
LISTED = replace(STRANGER, address="10.0.0.1", relay_proof=Proof.RELAY_LIST)
LOGGED_IN = replace(STRANGER, account=Account("alice@ours.test", ""))


def _transaction(already: int) -> Transaction:
    return Transaction("x@away.test", [Recipient("bob@ours.test")] * already)


@pytest.mark.parametrize(
    "session, local_part, domain, already, expected",
    [
        (STRANGER, "bob", "ours.test", 0, None),
        (STRANGER, "a%b", "ours.test", 0, None),
        (STRANGER, "x", "ours.test", 0, Why.RECIPIENT_UNKNOWN),
        (LISTED, "x", "ours.test", 0, Why.RECIPIENT_UNKNOWN),
        (STRANGER, "x", "any.test", 0, None),
        (STRANGER, "x%y", "any.test", 0, Why.RECIPIENT_ROUTED),
        (LISTED, "x!y", "any.test", 0, Why.RECIPIENT_ROUTED),
        (STRANGER, "x", "away.test", 0, Why.RELAY_DENIED),
        (STRANGER, "x", "[192.0.2.9]", 0, Why.RELAY_DENIED),
        (LISTED, "x", "away.test", 0, None),
        (LOGGED_IN, "x", "away.test", 0, None),
        (LOGGED_IN, '"x@y"', "away.test", 0, Why.RECIPIENT_ROUTED),
        (STRANGER, "bob", "ours.test", 99, None),
        (STRANGER, "bob", "ours.test", 100, Why.TOO_MANY_RECIPIENTS),
    ],
)
def test_recipients(session: Session, local_part: str, domain: str, already: int, expected: Why | None) -> None:
    recipient = Address(local_part, domain)
    resolution = resolve(recipient, POLICY, RewritingKeys(), null_sender=False, now=0)
    refusal = judge_recipient(session, POLICY, _transaction(already), recipient, resolution)
    assert (refusal.reason if refusal else None) == expected


@pytest.mark.parametrize(
    "policy, hostname, domain",
    [
        (POLICY, "gate.test", "ours.test"),
        (POLICY, "any.test", "any.test"),
        (Policy(), "gate.test", "gate.test"),
    ],
)
def test_postmaster_gets_a_domain_of_ours(policy: Policy, hostname: str, domain: str) -> None:
    assert complete(Address("postmaster", ""), policy, hostname).domain == domain
    assert complete(Address("bob", "away.test"), policy, hostname).domain == "away.test"


@pytest.mark.parametrize(
    "purpose, tls, secured, session, expected",
    [
        (Purpose.INBOUND, TlsMode.OPPORTUNISTIC, False, STRANGER, None),
        (Purpose.INBOUND, TlsMode.REQUIRED, False, STRANGER, Why.TLS_REQUIRED),
        (Purpose.INBOUND, TlsMode.REQUIRED, True, STRANGER, None),
        (Purpose.SUBMISSION, TlsMode.REQUIRED, False, LOGGED_IN, Why.TLS_REQUIRED),
        (Purpose.SUBMISSION, TlsMode.IMPLICIT, True, STRANGER, Why.LOGIN_REQUIRED),
        (Purpose.SUBMISSION, TlsMode.OPPORTUNISTIC, False, LISTED, Why.LOGIN_REQUIRED),
        (Purpose.SUBMISSION, TlsMode.IMPLICIT, True, LOGGED_IN, None),
        (Purpose.RELAY, TlsMode.OFF, False, STRANGER, Why.CLIENT_NOT_LISTED),
        (Purpose.RELAY, TlsMode.OFF, False, LISTED, None),
        (Purpose.RELAY, TlsMode.OFF, False, LOGGED_IN, None),
    ],
)
def test_clients(purpose: Purpose, tls: TlsMode, secured: bool, session: Session, expected: Why | None) -> None:
    judged = replace(session, rules=Listener(purpose=purpose, tls=tls), tls="TLSv1.3" if secured else None)
    refusal = judge_client(judged)
    assert (refusal.reason if refusal else None) == expected


@pytest.mark.parametrize(
    "senders, sender, allowed",
    [
        ((), "alice@ours.test", True),
        ((), "ALICE@ours.test", True),
        ((), "", True),
        ((), "bob@ours.test", False),
        (("@ours.test",), "bob@ours.test", True),
        (("@ours.test",), "bob@sub.ours.test", False),
        (("bob@ours.test",), "alice@ours.test", False),
    ],
)
def test_a_login_is_bound_to_its_senders(senders: tuple[str, ...], sender: str, allowed: bool) -> None:
    session = replace(STRANGER, account=Account("alice@ours.test", "", senders))
    assert (judge_sender(session, sender) is None) == allowed
    assert judge_sender(STRANGER, sender) is None


@pytest.mark.parametrize(
    "declared, room, expected",
    [(0, 0, None), (100, 100, None), (101, 1000, Why.MESSAGE_TOO_LARGE), (100, 99, Why.NO_ROOM)],
)
def test_declared_sizes(declared: int, room: int, expected: Why | None) -> None:
    refusal = judge_declared_size(declared, 100, room)
    assert (refusal.reason if refusal else None) == expected


def test_every_flaw_has_a_refusal_and_only_the_lack_of_room_is_temporary() -> None:
    assert {flaw: refusal_of(flaw).reply.temporary for flaw in Flaw} == {flaw: flaw is Flaw.NO_ROOM for flaw in Flaw}


def test_a_refusal_names_its_id() -> None:
    assert str(refusal_of(Flaw.TOO_LARGE).reply_with("some-id")).endswith("[some-id]")
