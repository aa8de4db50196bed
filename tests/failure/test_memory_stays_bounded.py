"""Hostile and heavy messages: every worker stays within its memory, and what does not fit is told so."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest

from shared.broker.topology import LARGE_BYTES
from tests.failure.conftest import RECIPIENT
from tests.gateway import Gateway
from tests.load.mail import ATTACHMENT, SENDER, Kind, Mailbag, SigningKey
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EDGE_MIB = 400
CONTENT_MIB = 600
# As large as the ordinary queue takes them, with the fields that edge puts on top.
ORDINARY_BYTES = LARGE_BYTES - 10_000
_PIECE = 65_536


@pytest.fixture(autouse=True)
async def _memory_is_bounded(gateway: Gateway) -> AsyncIterator[None]:
    yield
    edge, content = gateway.peak_mib("edge"), gateway.peak_mib("content")
    print(
        f"\n    peaks: edge {_shown(edge)}, content {_shown(content)}, delivery {_shown(gateway.peak_mib('delivery'))}"
    )
    assert max(edge) < EDGE_MIB
    assert max(content) < CONTENT_MIB


async def test_a_line_without_end_of_100_mb_is_refused(gateway: Gateway) -> None:
    reply = await _send(gateway.port, _repeated(b"x", 100_000_000))
    assert reply.startswith("552"), reply


async def test_a_command_line_without_end_ends_the_session(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    await _reply(reader)
    with contextlib.suppress(ConnectionError):
        for piece in _repeated(b"x", 100_000_000):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        assert (await _reply(reader))[:3] in ("500", "")
    writer.close()


async def test_10_mb_of_bare_crlfs_pass_within_bounds(gateway: Gateway, key: SigningKey, sink: Sink) -> None:
    # RFC 6376 §3.4.4: empty lines at the end do not count, so the signature holds.
    message_id, text = Mailbag(RECIPIENT, 0, key, line=b"\r\n").write(Kind.SIGNED)
    reply = await _send(gateway.port, [text, *_repeated(b"\r\n", 10_000_000)])
    assert reply.startswith("250"), reply
    assert not await sink.has([message_id], 60)


async def test_20_messages_of_25_mb_at_once_fit_or_get_452(gateway: Gateway, key: SigningKey, sink: Sink) -> None:
    bag = Mailbag(RECIPIENT, 25_000_000, key, line=ATTACHMENT)
    ids, texts = zip(*(bag.write(Kind.SIGNED) for _ in range(20)), strict=True)
    replies = await asyncio.gather(*(_send(gateway.port, _in_pieces(text)) for text in texts))
    codes = Counter(reply[:3] for reply in replies)
    print(f"\n    {dict(codes)}")
    assert codes.keys() <= {"250", "452"}, replies
    assert codes["250"]
    accepted = {message_id for message_id, reply in zip(ids, replies, strict=True) if reply.startswith("250")}
    assert not await sink.has(accepted, 180)
    await gateway.drained()
    assert set(sink.arrivals) == accepted
    assert sink.duplicates == 0


async def test_content_keeps_its_bounds_when_all_that_it_holds_is_as_large_as_can_be(
    gateway: Gateway, key: SigningKey, sink: Sink
) -> None:
    """Full prefetch of the queue for large messages, 25 MB each, and of the ordinary one, nearly 1 MB each."""
    large = Mailbag(RECIPIENT, 25_000_000, key, line=ATTACHMENT, attached=True)
    ordinary = Mailbag(RECIPIENT, ORDINARY_BYTES, key, line=ATTACHMENT, attached=True)
    await gateway.kill("content")
    accepted: set[str] = set()
    # While content is away, all of it waits for the workers to begin.
    for bag, count in ((large, 6), (ordinary, 2 * gateway.content_holds)):
        for _ in range(count):
            message_id, text = bag.write(Kind.SIGNED)
            reply = await _send(gateway.port, _in_pieces(text))
            assert reply.startswith("250"), reply
            accepted.add(message_id)
    await gateway.start("content")
    assert not await sink.has(accepted, 240)
    assert sink.duplicates == 0


async def test_more_than_the_size_limit_gets_552(gateway: Gateway, sink: Sink) -> None:
    _, text = Mailbag(RECIPIENT, 26_300_000, line=ATTACHMENT).write(Kind.PLAIN)
    reply = await _send(gateway.port, _in_pieces(text))
    assert reply.startswith("552"), reply
    assert await _say_size(gateway.port, 26_300_000) == "552"
    assert not sink.arrivals


def _repeated(text: bytes, octets: int) -> Iterator[bytes]:
    piece = text * (_PIECE // len(text))
    for _ in range(octets // len(piece)):
        yield piece
    yield piece[: octets % len(piece)]


def _in_pieces(text: bytes) -> Iterator[bytes]:
    for at in range(0, len(text), _PIECE):
        yield text[at : at + _PIECE]


async def _send(port: int, pieces: Iterable[bytes]) -> str:
    """Send one message, a piece at a time, and return the reply to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await _reply(reader)
        commands = ("EHLO client.sender.test", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA")
        for command in commands:
            writer.write(command.encode() + b"\r\n")
            reply = await _reply(reader)
            if reply[:1] not in "23":
                return reply
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.write(b"\r\n.\r\n")
        return await _reply(reader)
    finally:
        writer.close()


async def _say_size(port: int, octets: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await _reply(reader)
        for command in ("EHLO client.sender.test", f"MAIL FROM:<{SENDER}> SIZE={octets}"):
            writer.write(command.encode() + b"\r\n")
            reply = await _reply(reader)
        return reply[:3]
    finally:
        writer.close()


async def _reply(reader: asyncio.StreamReader) -> str:
    while True:
        line = (await reader.readline()).decode()
        if line[3:4] != "-":
            return line


def _shown(peaks: list[float]) -> str:
    return " and ".join(f"{peak:.0f} MiB" for peak in peaks)
