"""The simulation and edge's own rules give one answer about recipients and clients: the services share no code of it."""

import pytest

from services.console.simulate import Asked, Facts, Meets, simulate
from services.edge.decide.admission import judge_access_rules
from services.edge.decide.recipient import NOT_VERIFIED, judge_recipient
from services.edge.session import Session, Transaction
from shared.address import parse_address
from shared.policy import parse_policy
from shared.rewriting.keys import RewritingKeys
from shared.rewriting.resolve import resolve
from tests.unit.services.console.test_simulate import POLICY

CLIENTS = ["192.0.2.1", "198.51.100.7", "203.0.113.7", "2001:db8::1"]
RECIPIENTS = [
    "anna@ours.test",
    "Anna@OURS.test",
    "ben+x@ours.test",
    "info@ours.test",
    "postmaster@ours.test",
    "nobody@ours.test",
    "x@asks.test",
    "x@far.test",
    "a%b@far.test",
    "a%b@ours.test",
    "a%b@asks.test",
    "SRS0=abcd=ab=far.test=x@ours.test",
]
SMALL, LARGE = 1000, 80_000


def session(client: str) -> Session:
    rules = POLICY.listeners["mx"]
    made = Session("mx", rules, client, 1, limits=rules.limits, name="mail.far.test")
    made.relay_proof = POLICY.relay.proof(made.client, "x@far.test")
    return made


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("recipient", RECIPIENTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_recipient_is_refused_by_both_or_by_none(client: str, recipient: str, size: int) -> None:
    address = parse_address(recipient)
    of_edge = session(client)
    tx = Transaction(sender="x@far.test")
    tx.declared_size = size
    found = resolve(address, POLICY, RewritingKeys(), null_sender=False, now=0)
    refusal = judge_recipient(of_edge, POLICY, tx, address, found)
    asked = Asked(client, "mx", "x@far.test", (recipient,), name="mail.far.test", size_bytes=size)
    steps = [step for step in simulate(POLICY, asked, Facts(None, None, 0)) if step.what == f"recipient {address}"]
    refused = any(step.meets is Meets.REFUSED for step in steps)
    # Edge's temporary refusals are what the simulation says to depend on others.
    assert refused is (refusal is not None and refusal is not NOT_VERIFIED and refusal.reply.code >= 500), steps


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_refused_by_both_or_by_none(client: str) -> None:
    refusal = judge_access_rules(session(client), POLICY, final=True)
    asked = Asked(client, "mx", "x@far.test", ("anna@ours.test",), name="mail.far.test")
    (step,) = [one for one in simulate(POLICY, asked, Facts(None, None, 0)) if one.what == "access rules"]
    assert (step.meets is Meets.REFUSED) is (refusal is not None)


def test_a_default_policy_lets_nobody_relay() -> None:
    asked = Asked("192.0.2.1", "mx", "x@far.test", ("y@far.test",))
    steps = simulate(parse_policy(""), asked, Facts(None, None, 0))
    assert any(step.meets is Meets.REFUSED and step.rule == "relay" for step in steps)
