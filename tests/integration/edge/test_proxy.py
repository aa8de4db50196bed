"""PROXY v2 before the greeting."""

import asyncio
import socket
import ssl
import struct

import pytest

from services.edge.proxy import SIGNATURE
from tests.integration.edge.gate import Gate, policy, trusting


def header(address: str = "203.0.113.9", port: int = 4711, command: int = 1, extra: bytes = b"") -> bytes:
    body = socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", port, 25) + extra
    return SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack("!H", len(body)) + body


async def test_the_client_is_whom_the_proxy_names(edge: Gate) -> None:
    async with edge.client("proxied") as client:
        await client.send(header(extra=b"\x04\x00\x01x") + b"")
        assert (await client.mail(b"x\r\n")).startswith("250")
    envelope = edge.publisher.mails[0].envelope
    assert (envelope.client.address, envelope.client.port) == ("203.0.113.9", 4711)
    assert b"([203.0.113.9])" in edge.publisher.mails[0].body


async def test_the_proxy_does_not_lend_its_own_rights(edge: Gate) -> None:
    edge.policy.policy = policy('[relay]\nnetworks = ["127.0.0.0/8"]\n')
    async with edge.client("proxied") as client:
        await client.send(header())
        await client.hello()
        await client.say("MAIL FROM:<x@ours.test>")
        assert (await client.say("RCPT TO:<y@away.test>")).startswith("550 5.7.1")


async def test_a_health_check_of_the_proxy_is_greeted(edge: Gate) -> None:
    async with edge.client("proxied") as client:
        await client.send(SIGNATURE + b"\x20\x00\x00\x00")
        assert (await client.reply()).startswith("220 ")


@pytest.mark.parametrize("octets", [b"EHLO client.test\r\n", b"PROXY TCP4 203.0.113.9 10.0.0.1 1 25\r\n", b"\r\n" * 20])
async def test_a_listed_proxy_must_send_its_header(edge: Gate, octets: bytes) -> None:
    async with edge.client("proxied") as client:
        await client.send(octets)
        assert await client.is_closed()
    assert edge.events.told[0][2]["reason"] == "proxy-header"


async def test_whoever_is_no_listed_proxy_is_the_client_itself(edge: Gate) -> None:
    async with edge.client("elsewhere-proxied") as client:
        assert (await client.mail(b"x\r\n")).startswith("250")
    assert edge.publisher.mails[0].envelope.client.address == "127.0.0.1"
    async with edge.client("elsewhere-proxied") as client:
        await client.reply()
        await client.send(header())
        assert (await client.reply()).startswith("500 5.5.2")


@pytest.mark.parametrize("together", [True, False])
async def test_tls_begins_right_behind_the_header(edge: Gate, together: bool) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.listeners.port("proxied-tls"))
    hello = outgoing.read()
    if together:
        writer.write(header() + hello)
    else:
        writer.write(header())
        await writer.drain()
        writer.write(hello)
    async with asyncio.timeout(10):
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(await reader.read(65536))
        writer.write(outgoing.read())
        while True:
            try:
                greeting = tls.read(1000)
                break
            except ssl.SSLWantReadError:
                incoming.write(await reader.read(65536))
    assert greeting.startswith(b"220 gate.test")
    writer.close()
    await writer.wait_closed()
