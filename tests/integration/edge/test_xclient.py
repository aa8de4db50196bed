"""XCLIENT from listed clients, and from nobody else."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from shared.event import EventKind
from tests.integration.edge.gate import Client, Gate, gate, policy

ANNOUNCED = "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"


@pytest.fixture
async def listed(certificate: Path) -> AsyncIterator[Gate]:
    """An edge at which this host may introduce others, and may relay."""
    rules = policy('[relay]\nnetworks = ["127.0.0.0/8"]\n')
    introducers = [ip_network("127.0.0.0/8"), ip_network("203.0.113.0/24")]
    listeners = {
        name: rules.listeners[name].model_copy(update={"xclient_from": introducers})
        for name in ("mx", "submissions", "proxied")
    }
    async with gate(rules.model_copy(update={"listeners": rules.listeners | listeners}), certificate) as running:
        yield running


async def test_it_is_announced_to_listed_clients_alone(edge: Gate, listed: Gate) -> None:
    async with listed.client() as client:
        assert ANNOUNCED in await client.hello()
    async with edge.client() as client:
        assert "XCLIENT" not in await client.hello()
        reply = await client.say("XCLIENT ADDR=198.51.100.7")
        assert reply.startswith("550 5.7.0")
    assert edge.events.told[-1][1] is EventKind.COMMAND_REFUSED
    assert edge.events.told[-1][2]["reason"] == "xclient"


async def test_the_session_begins_anew_as_the_client_that_was_introduced(listed: Gate) -> None:
    async with listed.client() as client:
        await client.hello()
        assert (await client.say("XCLIENT ADDR=198.51.100.7 PORT=4711 NAME=mx.away.test")).startswith("220 gate.test")
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("503 5.5.1")
        await client.say("EHLO mx.away.test")
        await transact(client)
    mail = listed.publisher.mails[0]
    assert (mail.envelope.client.address, mail.envelope.client.port) == ("198.51.100.7", 4711)
    assert mail.envelope.client.helo == "mx.away.test"
    assert b"[198.51.100.7]" in mail.body
    assert mail.envelope.direction == "inbound"


async def transact(client: Client) -> None:
    assert (await client.say("MAIL FROM:<x@away.test>")).startswith("250")
    assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    await client.send("x\r\n.\r\n")
    assert (await client.reply()).startswith("250")


async def test_the_introduced_client_has_no_rights_of_the_one_who_introduces(listed: Gate) -> None:
    async with listed.client() as client:
        await client.hello()
        await client.say("XCLIENT ADDR=198.51.100.7")
        await client.say("EHLO x.test")
        await client.say("MAIL FROM:<x@ours.test>")
        assert (await client.say("RCPT TO:<y@away.test>")).startswith("550 5.7.1")
    # And whoever is allowed to introduce may do it again on the same connection.
    async with listed.client() as client:
        await client.hello()
        for address in ("198.51.100.7", "198.51.100.8"):
            assert (await client.say(f"XCLIENT ADDR={address}")).startswith("220")
            assert ANNOUNCED in await client.say("EHLO x.test")
        await transact(client)
    assert listed.publisher.mails[0].envelope.client.address == "198.51.100.8"


async def test_helo_and_proto_stand_for_the_clients_own(listed: Gate) -> None:
    async with listed.client() as client:
        await client.reply()
        assert (await client.say("XCLIENT ADDR=IPV6:2001:db8::7 HELO=client.test PROTO=SMTP")).startswith("220")
        await transact(client)
    client_ = listed.publisher.mails[0].envelope.client
    assert (client_.address, client_.helo, client_.esmtp) == ("2001:db8::7", "client.test", False)


@pytest.mark.parametrize(
    "argument",
    ["", "LOGIN=alice@ours.test", "ADDR=198.51.100.7 LOGIN=alice@ours.test", "ADDR=x", "NEW=1", "NAME=a+0D+0Ab"],
)
async def test_a_bad_argument_is_501_and_changes_nothing(listed: Gate, argument: str) -> None:
    async with listed.client() as client:
        await client.hello()
        assert (await client.say(f"XCLIENT {argument}")).startswith("501 5.5.4")
        await transact(client)
    assert listed.publisher.mails[0].envelope.client.address == "127.0.0.1"


async def test_it_goes_neither_within_a_transaction_nor_after_a_login(listed: Gate) -> None:
    async with listed.client() as client:
        await client.begin()
        assert (await client.say("XCLIENT ADDR=198.51.100.7")).startswith("503 5.5.1")
    async with listed.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.log_in()).startswith("235")
        assert (await client.say("XCLIENT ADDR=198.51.100.7")).startswith("503 5.5.1")


async def test_tls_stays_when_the_client_changes(listed: Gate) -> None:
    async with listed.client() as client:
        await client.hello()
        await client.start_tls()
        await client.say("EHLO proxy.test")
        await client.say("XCLIENT ADDR=198.51.100.7")
        assert "STARTTLS" not in await client.say("EHLO x.test")
        await transact(client)
    assert str(listed.publisher.mails[0].envelope.client.tls).startswith("TLSv1.3")


async def test_behind_a_proxy_the_client_counts_and_not_the_proxy(listed: Gate) -> None:
    for address, expected in (("203.0.113.9", "220"), ("198.51.100.9", "550")):
        async with listed.client("proxied") as client:
            await client.send(f"PROXY TCP4 {address} 10.0.0.1 4711 25\r\n")
            await client.hello()
            assert (await client.say("XCLIENT ADDR=192.0.2.7")).startswith(expected)


async def test_the_introduced_client_must_be_admitted(listed: Gate) -> None:
    rules = listed.policy.policy
    denied = policy('[[access]]\nnetworks = ["198.51.100.0/24"]\naction = "deny"\n').access
    listed.policy.policy = rules.model_copy(update={"access": denied})
    async with listed.client() as client:
        await client.hello()
        assert (await client.say("XCLIENT ADDR=198.51.100.7")).startswith("554 5.7.1")
        assert await client.is_closed()
    assert listed.events.told[-1][2]["client"] == "198.51.100.7"


async def test_places_go_with_the_client(listed: Gate) -> None:
    rules = listed.policy.policy
    proxied = rules.listeners["proxied"]
    few = proxied.model_copy(
        update={"greet_wait_s": 0, "limits": proxied.limits.model_copy(update={"connections_per_address": 1})}
    )
    listed.policy.policy = rules.model_copy(update={"listeners": rules.listeners | {"proxied": few}})

    async def greeting(client: Client, address: str) -> str:
        await client.send(f"PROXY TCP4 {address} 10.0.0.1 4711 25\r\n")
        return await client.reply()

    async with listed.client("proxied") as one, listed.client("proxied") as two, listed.client("proxied") as three:
        assert (await greeting(one, "203.0.113.9")).startswith("220")
        await one.say("EHLO proxy.test")
        assert (await one.say("XCLIENT ADDR=198.51.100.7")).startswith("220")
        # The one who introduced has its place again, the one who was introduced has none left.
        assert (await greeting(two, "203.0.113.9")).startswith("220")
        assert (await greeting(three, "198.51.100.7")).startswith("421 4.7.0 Too many connections from your address")
        await one.say("QUIT")
    await listed.until(lambda: len(listed.sessions) == 0)
    async with listed.client("proxied") as four:
        assert (await greeting(four, "198.51.100.7")).startswith("220")


async def test_what_stands_behind_it_is_not_carried_over(listed: Gate) -> None:
    async with listed.client() as client:
        await client.hello()
        await client.send("XCLIENT ADDR=198.51.100.7\r\nEHLO x.test\r\nMAIL FROM:<evil@away.test>\r\n")
        assert (await client.reply()).startswith("503 5.5.0")
        assert await client.is_closed()
