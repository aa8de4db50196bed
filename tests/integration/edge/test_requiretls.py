"""REQUIRETLS (RFC 8689) and DSN (RFC 3461): offered where they are meant, kept or refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.envelope import Notify
from tests.integration.edge.gate import Client, Gate, gate, policy


@pytest.fixture
async def requiring(certificate: Path) -> AsyncIterator[Gate]:
    """An edge that offers REQUIRETLS on two listeners."""
    rules = policy()
    listeners = {name: rules.listeners[name].model_copy(update={"requiretls": True}) for name in ("mx", "submissions")}
    async with gate(rules.model_copy(update={"listeners": rules.listeners | listeners}), certificate) as running:
        yield running


async def secure(client: Client) -> None:
    await client.hello()
    await client.start_tls()
    await client.say("EHLO client.test")


async def test_it_is_offered_within_tls_alone(requiring: Gate) -> None:
    async with requiring.client() as client:
        assert "REQUIRETLS" not in await client.hello()
        assert (await client.say("MAIL FROM:<x@away.test> REQUIRETLS")).startswith("555 5.5.4")
        await client.start_tls()
        assert "250-REQUIRETLS" in await client.say("EHLO client.test")
        assert (await client.say("MAIL FROM:<x@away.test> REQUIRETLS=1")).startswith("501 5.5.4")
        assert (await client.say("MAIL FROM:<x@away.test> REQUIRETLS")).startswith("250")
    async with requiring.client("submissions", tls=True) as client:
        assert "250-REQUIRETLS" in await client.hello()


async def test_it_is_not_offered_where_the_policy_has_none(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.start_tls()
        assert "REQUIRETLS" not in await client.say("EHLO client.test")
        assert (await client.say("MAIL FROM:<x@away.test> REQUIRETLS")).startswith("555 5.5.4")


async def test_a_recipient_whose_route_keeps_it_is_taken_and_the_envelope_says_so(requiring: Gate) -> None:
    for parameter, expected in ((" REQUIRETLS", True), ("", False)):
        requiring.publisher.published.clear()
        async with requiring.client() as client:
            await secure(client)
            await client.say(f"MAIL FROM:<x@away.test>{parameter}")
            assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
            await client.say("DATA")
            await client.send("x\r\n.\r\n")
            assert (await client.reply()).startswith("250")
        assert requiring.publisher.mails[0].envelope.requiretls is expected


async def test_a_recipient_whose_route_cannot_keep_it_is_refused(requiring: Gate) -> None:
    async with requiring.client() as client:
        await secure(client)
        await client.say("MAIL FROM:<x@away.test> REQUIRETLS")
        assert (await client.say("RCPT TO:<whoever@any.test>")).startswith("550 5.7.30 ")
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
    assert requiring.events.told[-1][2]["reason"] == "requiretls-not-kept"
    # The next transaction does not ask for it.
    async with requiring.client() as client:
        await secure(client)
        await client.say("MAIL FROM:<x@away.test> REQUIRETLS")
        await client.say("RSET")
        await client.say("MAIL FROM:<x@away.test>")
        assert (await client.say("RCPT TO:<whoever@any.test>")).startswith("250")


async def test_a_notice_is_taken_whatever_its_way_on(requiring: Gate) -> None:
    async with requiring.client() as client:
        await secure(client)
        await client.say("MAIL FROM:<> REQUIRETLS")
        assert (await client.say("RCPT TO:<whoever@any.test>")).startswith("250")


async def test_dsn_parameters_go_with_a_login(edge: Gate) -> None:
    async with edge.client("submissions", tls=True) as client:
        assert "250-DSN" in await client.hello()
        await client.log_in()
        assert (await client.say("MAIL FROM:<alice@ours.test> RET=FULL ENVID=abc")).startswith("250")
        reply = await client.say("RCPT TO:<y@away.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;y@away.test")
        assert reply.startswith("250")
        await client.say("DATA")
        await client.send("From: alice@ours.test\r\n\r\nx\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    envelope = edge.publisher.mails[0].envelope
    assert (envelope.ret, envelope.envid) == ("FULL", "abc")
    assert envelope.recipients[0].notify == (Notify.FAILURE, Notify.DELAY)


@pytest.mark.parametrize("listener", ["mx", "chunked"])
async def test_dsn_parameters_are_refused_where_dsn_is_not_offered(edge: Gate, listener: str) -> None:
    async with edge.client(listener) as client:
        assert "DSN" not in await client.hello()
        for parameter in ("RET=HDRS", "ENVID=x"):
            assert (await client.say(f"MAIL FROM:<x@away.test> {parameter}")).startswith("555 5.5.4")
        await client.say("MAIL FROM:<x@away.test>")
        for parameter in ("NOTIFY=NEVER", "ORCPT=rfc822;x"):
            assert (await client.say(f"RCPT TO:<bob@ours.test> {parameter}")).startswith("555 5.5.4")
