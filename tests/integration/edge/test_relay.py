"""Who may send to whom."""

import pytest

from shared.event import EventKind
from tests.integration.edge.gate import Gate, id_in, policy

LISTED = '[relay]\nnetworks = ["127.0.0.0/8"]\n'


@pytest.mark.parametrize(
    "recipient, expected",
    [
        ("bob@ours.test", "250 2.1.5"),
        ("BOB@OURS.TEST", "250 2.1.5"),
        ("postmaster@ours.test", "250 2.1.5"),
        ("postmaster", "250 2.1.5"),
        ("PostMaster", "250 2.1.5"),
        ("odd%name@ours.test", "250 2.1.5"),
        ("nobody@ours.test", "550 5.1.1"),
        ("x%away.test@ours.test", "550 5.1.1"),
        ("whoever@any.test", "250 2.1.5"),
        ("x%away.test@any.test", "550 5.7.1"),
        ("away.test!x@any.test", "550 5.7.1"),
        ('"x@away.test"@any.test', "550 5.7.1"),
        ("x@away.test", "550 5.7.1"),
        ('"bob@ours.test"@away.test', "550 5.7.1"),
        ("bob@[127.0.0.1]", "550 5.7.1"),
        ("bob@sub.ours.test", "550 5.7.1"),
        ("@ours.test:x@away.test", "501 5.1.3"),
        ("bob@ours.test (comment)", "501 5."),
        ("", "501 5.1.3"),
        ("bob", "501 5.1.3"),
        ("bob@", "501 5.1.3"),
        ("bob@ours.test.", "501 5.1.3"),
        ("b\u00f6b@any.test", "501 5.1.3"),
    ],
)
async def test_a_stranger_reaches_known_recipients_of_our_domains_alone(
    edge: Gate, recipient: str, expected: str
) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        reply = await client.say(f"RCPT TO:<{recipient}>")
    assert reply.startswith(expected)


async def test_a_refusal_names_an_id_whose_event_tells_why(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        reply = await client.say("RCPT TO:<nobody@ours.test>")
    ((known, kind, facts),) = edge.events.told
    assert (known, kind) == (id_in(reply), EventKind.COMMAND_REFUSED)
    assert facts["reason"] == "recipient-unknown"
    assert facts["recipient"] == "nobody@ours.test"
    assert facts["reply"] == reply


async def test_a_listed_client_may_relay_but_not_by_routed_local_parts(edge: Gate) -> None:
    edge.policy.policy = policy(LISTED)
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@ours.test>")
        assert (await client.say("RCPT TO:<y@away.test>")).startswith("250")
        assert (await client.say("RCPT TO:<y%z.test@away.test>")).startswith("550 5.7.1")
        assert (await client.say("RCPT TO:<nobody@ours.test>")).startswith("550 5.1.1")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    envelope = edge.publisher.mails[0].envelope
    assert (envelope.direction, envelope.proved) == ("outbound", "relay-list")


async def test_the_relay_listener_is_for_listed_hosts(edge: Gate) -> None:
    async with edge.client("relay") as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("550 5.7.1")
    edge.policy.policy = policy(LISTED)
    async with edge.client("relay") as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("250")


async def test_postmaster_without_a_domain_gets_ours(edge: Gate) -> None:
    async with edge.client() as client:
        await client.mail(b"x\r\n", "Postmaster")
    assert edge.publisher.mails[0].envelope.recipients[0].address == "postmaster@ours.test"
