"""The PROXY header, version 1 or 2, before the greeting."""

import asyncio
import socket
import ssl
import struct

import pytest

from services.edge.proxy_v2 import SIGNATURE
from tests.integration.edge.gate import Gate, limited, policy, trusting


def header(address: str = "203.0.113.9", port: int = 4711, command: int = 1, extra: bytes = b"") -> bytes:
    body = socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", port, 25) + extra
    return SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack("!H", len(body)) + body


TEXT = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 25\r\n"


@pytest.mark.parametrize("octets", [header(extra=b"\x04\x00\x01x"), TEXT])
async def test_the_client_is_whom_the_proxy_names(edge: Gate, octets: bytes) -> None:
    async with edge.client("proxied") as client:
        await client.send(octets)
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


@pytest.mark.parametrize("octets", [SIGNATURE + b"\x20\x00\x00\x00", b"PROXY UNKNOWN\r\n", header(command=0)])
async def test_a_health_check_of_the_proxy_is_greeted_as_the_proxy(edge: Gate, octets: bytes) -> None:
    async with edge.client("proxied") as client:
        await client.send(octets)
        assert (await client.mail(b"x\r\n")).startswith("250")
    assert edge.publisher.mails[0].envelope.client.address == "127.0.0.1"


@pytest.mark.parametrize("octets", [header(), TEXT])
async def test_a_header_may_come_octet_by_octet(edge: Gate, octets: bytes) -> None:
    async with edge.client("proxied") as client:
        for at in range(len(octets)):
            await client.send(octets[at : at + 1])
            await asyncio.sleep(0)
        assert (await client.mail(b"x\r\n")).startswith("250")
    assert edge.publisher.mails[0].envelope.client.address == "203.0.113.9"


@pytest.mark.parametrize("octets", [header(), TEXT, header(extra=b"\x04\x03\xe8" + b"x" * 1000)])
async def test_single_octets_win_no_time_in_a_header(edge: Gate, octets: bytes) -> None:
    limited(edge, handshake_timeout_s=0.3)
    async with edge.client("proxied") as client:
        sent = 0
        while not client.writer.is_closing() and sent < len(octets):
            await client.send(octets[sent : sent + 1])
            sent += 1
            await asyncio.sleep(0.05)
        assert sent < len(octets)
        assert "220" not in await client.reply()


@pytest.mark.parametrize("octets", [header(), TEXT])
async def test_what_stands_behind_the_header_is_early_talk_and_not_lost(edge: Gate, octets: bytes) -> None:
    async with edge.client("proxied") as client:
        await client.send(octets + b"EHLO client.test\r\nMAIL FROM:<evil@away.test>\r\n")
        replies = []
        while reply := await client.reply():
            replies.append(reply)
    # Beyond the greeting nothing is answered but the refusal.
    assert next(reply for reply in replies if not reply.startswith("220 ")).startswith(("503 5.5.0", "554 5.5.0"))
    assert not [reply for reply in replies if reply.startswith("250")]


@pytest.mark.parametrize("second", [header("198.51.100.1"), TEXT])
@pytest.mark.parametrize("first", [header(), TEXT])
async def test_a_second_header_is_the_clients_word_and_no_header(edge: Gate, first: bytes, second: bytes) -> None:
    async with edge.client("proxied") as client:
        await client.send(first)
        assert (await client.reply()).startswith("220 ")
        await client.send(second)
        assert (await client.reply())[:3] in ("500", "503")
        if second is TEXT:
            await client.say("EHLO client.test")
            await client.say("MAIL FROM:<x@away.test>")
    assert {facts["client"] for _, _, facts in edge.events.told} <= {"203.0.113.9"}


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO client.test\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 0 25\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 1 25\nEHLO x\r\n",
        b"PROXY UNKNOWN" + b" " * 200,
        b"\r\n" * 20,
        b"GET / HTTP/1.1\r\n",
        header(extra=b"\x04\x00\x09x"),
    ],
)
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
        assert (await client.reply()).startswith("503 5.5.0")


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
