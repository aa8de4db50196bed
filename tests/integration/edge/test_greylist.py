"""Greylisting as clients meet it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.edge.decide.refusal import RefusalReason
from shared.dns.resolver import CachingResolver
from shared.event import EventKind
from shared.reply import Reply
from shared.state.open import open_state
from shared.verdict import Action
from tests.integration.edge.gate import Client, Gate, gate, policy
from tests.redis import RedisServer

ZONE = """
$ORIGIN test.
@ SOA ns.test. hostmaster.test. 1 3600 600 86400 300
codes TXT "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all"
"""
RULES = """
[domains."calm.test"]
route = "maildir:mail"
recipients = ["dave"]
greylisting = false
[limits]
exempt_networks = ["0.0.0.0/0"]
[relay]
networks = ["198.51.100.128/25"]
[greylist]
enabled = true
wait_s = 0
allow_after = 2
exempt = [{ networks = ["203.0.113.128/25"] }]
senders = ["@partner.test"]
recipients = ["carol@ours.test"]
"""
SENDER, BOB = "x@away.test", "bob@ours.test"
ACCEPTED = Reply(250, "2.0.0", "queued")
REFUSED = Reply(550, "5.7.1", "Message refused: malware found")
DEFERRAL = "450 4.7.1 Greylisted, try again in "


@pytest.fixture
def resolver(tmp_path: Path) -> CachingResolver:
    zone = tmp_path / "test.zone"
    zone.write_text(ZONE)
    return CachingResolver([], [zone])


@pytest.fixture
async def edge(certificate: Path, resolver: CachingResolver) -> AsyncIterator[Gate]:
    """An edge that greylists, whose retries need not wait."""
    async with gate(policy(RULES), certificate, resolver=resolver) as running:
        running.judge_all(ACCEPTED)
        yield running


@asynccontextmanager
async def client_of(edge: Gate, address: str) -> AsyncIterator[Client]:
    """Connect from an address."""
    async with edge.client("proxied") as client:
        await client.send(f"PROXY TCP4 {address} 10.0.0.1 4711 25\r\n")
        await client.hello()
        yield client


async def rcpt(edge: Gate, address: str = "192.0.2.1", sender: str = SENDER, recipient: str = BOB) -> str:
    """Return the reply to RCPT."""
    async with client_of(edge, address) as client:
        assert (await client.say(f"MAIL FROM:<{sender}>")).startswith("250")
        return await client.say(f"RCPT TO:<{recipient}>")


async def asks(edge: Gate, address: str = "192.0.2.1", sender: str = SENDER, recipient: str = BOB) -> bool:
    """Whether RCPT is asked to come again; else it is taken."""
    reply = await rcpt(edge, address, sender, recipient)
    assert reply.startswith((DEFERRAL, "250 "))
    return reply.startswith(DEFERRAL)


async def delivers(edge: Gate, address: str = "192.0.2.1", sender: str = SENDER) -> str:
    """Come until RCPT is taken, send a message, have edge learn from it; return the last reply."""
    await rcpt(edge, address, sender)
    async with client_of(edge, address) as client:
        assert (await client.say(f"MAIL FROM:<{sender}>")).startswith("250")
        assert (await client.say(f"RCPT TO:<{BOB}>")).startswith("250")
        assert (await client.say("DATA")).startswith("354")
        await client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
        reply = await client.reply()
    await edge.defences.greylist.close(5)
    return reply


async def test_who_comes_for_the_first_time_is_asked_to_come_again(edge: Gate) -> None:
    assert await asks(edge)
    assert not await asks(edge)
    assert not await asks(edge, "192.0.2.77"), "its network"
    assert await asks(edge, "192.0.3.1")
    assert await asks(edge, sender="y@away.test")
    assert await asks(edge, sender="")


async def test_the_trace_tells_that_it_was_greylisted(edge: Gate) -> None:
    assert await asks(edge)
    facts = next(facts for _, kind, facts in edge.events.told if kind is EventKind.COMMAND_REFUSED)
    assert facts["reason"] == RefusalReason.GREYLISTED.value
    assert (facts["client"], facts["sender"], facts["recipient"]) == ("192.0.2.1", SENDER, BOB)


async def test_who_does_not_wait_is_told_so_again(edge: Gate) -> None:
    edge.policy.policy = policy(RULES.replace("wait_s = 0", "wait_s = 600"))
    async with client_of(edge, "192.0.2.1") as client:
        for _ in range(30):  # temporary refusals are no errors of the client
            assert (await client.say("RSET")).startswith("250")
            assert (await client.say(f"MAIL FROM:<{SENDER}>")).startswith("250")
            assert (await client.say(f"RCPT TO:<{BOB}>")).startswith(DEFERRAL)


async def test_one_recipient_that_waits_does_not_hold_up_another(edge: Gate) -> None:
    async with client_of(edge, "192.0.2.1") as client:
        await client.say(f"MAIL FROM:<{SENDER}>")
        assert (await client.say(f"RCPT TO:<{BOB}>")).startswith(DEFERRAL)
        assert (await client.say("RCPT TO:<postmaster@ours.test>")).startswith("250")
        await client.say("DATA")
        await client.send(b"x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    assert [recipient.address for recipient in edge.publisher.mails[0].envelope.recipients] == ["postmaster@ours.test"]


@pytest.mark.parametrize(
    "address, sender, recipient",
    [
        ("192.0.2.1", SENDER, "postmaster@ours.test"),
        ("192.0.2.1", SENDER, "Abuse@ours.test"),
        ("192.0.2.1", SENDER, "postmaster"),
        ("192.0.2.1", SENDER, "dave@calm.test"),
        ("192.0.2.1", SENDER, "carol@ours.test"),
        ("192.0.2.1", "news@partner.test", BOB),
        ("203.0.113.200", SENDER, BOB),
        ("198.51.100.200", SENDER, BOB),
    ],
)
async def test_who_is_exempt_is_never_asked(edge: Gate, address: str, sender: str, recipient: str) -> None:
    assert not await asks(edge, address, sender, recipient)


async def test_whom_an_access_rule_allows_is_never_asked(edge: Gate) -> None:
    edge.policy.policy = policy(RULES + '[[access]]\naction = "allow"\nnetworks = ["192.0.2.0/24"]\n')
    assert not await asks(edge, "192.0.2.1")
    assert await asks(edge, "203.0.113.1")


async def test_an_unknown_recipient_is_refused_for_good_and_not_asked(edge: Gate) -> None:
    assert (await rcpt(edge, recipient="nobody@ours.test")).startswith("550 5.1.1")
    assert (await rcpt(edge, recipient="x@elsewhere.test")).startswith("550 5.7.1")


async def test_a_network_that_sent_clean_mail_is_no_longer_asked(edge: Gate) -> None:
    for sender in ("a@away.test", "b@away.test"):
        assert await asks(edge, sender=sender)
        assert (await delivers(edge, sender=sender)).startswith("250")
    assert not await asks(edge, "192.0.2.200", "new@else.test")
    edge.judge_all(REFUSED, Action.REFUSE)
    assert (await delivers(edge, sender="a@away.test")).startswith("550")
    assert await asks(edge, "192.0.2.200", "newer@else.test")


async def test_login_codes_of_a_known_service_are_never_delayed(edge: Gate) -> None:
    assert await asks(edge, "192.0.2.1", "no-reply-1@codes.test")
    assert (await delivers(edge, "192.0.2.1", "no-reply-1@codes.test")).startswith("250")
    assert not await asks(edge, "198.51.100.7", "no-reply-2@codes.test")
    assert await asks(edge, "203.0.113.7", "no-reply-2@codes.test"), "who only says to be the service"


async def test_answers_to_mail_of_our_users_are_never_delayed(edge: Gate) -> None:
    async with edge.client("submissions", tls=True) as alice:
        await alice.hello()
        assert (await alice.log_in()).startswith("235")
        assert (await alice.say("MAIL FROM:<alice@ours.test>")).startswith("250")
        assert (await alice.say("RCPT TO:<jo@away.test>")).startswith("250"), "our users are not asked"
        assert (await alice.say("DATA")).startswith("354")
        await alice.send(b"From: alice@ours.test\r\n\r\nx\r\n.\r\n")
        assert (await alice.reply()).startswith("250")
    await edge.defences.greylist.close(5)
    assert not await asks(edge, "203.0.113.7", "jo@away.test")
    assert await asks(edge, "203.0.113.7", "jim@away.test")


async def test_switched_off_nobody_is_asked(edge: Gate) -> None:
    edge.policy.policy = policy(RULES.replace("enabled = true", "enabled = false"))
    assert not await asks(edge)


async def test_when_redis_is_killed_mail_flows(
    certificate: Path, redis_server: RedisServer, resolver: CachingResolver
) -> None:
    state = open_state(redis_server.settings)
    async with gate(policy(RULES), certificate, state=state, resolver=resolver) as edge:
        edge.judge_all(ACCEPTED)
        assert await asks(edge)
        redis_server.kill()
        assert not await asks(edge, sender="new@away.test")
        assert (await delivers(edge, "203.0.113.1")).startswith("250")
