"""A sender whose nameservers never answer: its mail is put off, and the mail of others goes on as before."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clamd import Clamd
from tests.dnsserver import DnsServer, Fault
from tests.failure.conftest import RECIPIENT
from tests.gateway import Gateway
from tests.load.mail import SENDER, Kind, Mailbag, SigningKey, zone_of
from tests.load.sink import Sink
from tests.rabbit import Rabbit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SLOW_SENDER = "load@a.dead"
# Twice as many as both workers hold at a time.
SLOW_MESSAGES = 80
GOOD_MESSAGES = 40
MAX_GOOD_S = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    took_s: float


@pytest.fixture
async def gateway(tmp_path: Path, rabbit: Rabbit, clamd: Clamd, key: SigningKey, sink: Sink) -> AsyncIterator[Gateway]:
    async with DnsServer(zone_of(key)) as nameserver:
        for rdtype in ("A", "AAAA", "MX", "TXT"):
            nameserver.fail("*.dead", rdtype, Fault.TIMEOUT)
        found = Gateway(tmp_path, rabbit, clamd, nameserver.address)
        try:
            await found.open({"sink.test": f"smtp://127.0.0.1:{sink.port}"})
            yield found
        finally:
            await found.close()


async def test_mail_of_others_passes_soon_and_theirs_is_put_off(gateway: Gateway, key: SigningKey, sink: Sink) -> None:
    bag = Mailbag(RECIPIENT, key=key)
    theirs = [asyncio.create_task(send(gateway.port, SLOW_SENDER, slow_text(bag))) for _ in range(SLOW_MESSAGES)]
    ids, texts = zip(*(bag.write(Kind.SIGNED) for _ in range(GOOD_MESSAGES)), strict=True)
    ours = await asyncio.gather(*(send(gateway.port, SENDER, text) for text in texts))
    print(f"\n    others: all within {max(reply.took_s for reply in ours):.2f} s")
    assert {reply.text[:3] for reply in ours} == {"250"}
    assert max(reply.took_s for reply in ours) < MAX_GOOD_S
    assert not await sink.has(ids, 30)
    slow = await asyncio.gather(*theirs)
    print(
        f"    theirs: {sorted({reply.text[:9] for reply in slow})} within {max(reply.took_s for reply in slow):.2f} s"
    )
    # RFC 9989: DMARC that DNS cannot tell is temperror: put off, and never refused.
    assert {reply.text[0] for reply in slow} == {"4"}, slow


def slow_text(bag: Mailbag) -> bytes:
    return bag.write(Kind.PLAIN)[1].replace(SENDER.encode(), SLOW_SENDER.encode())


async def send(port: int, sender: str, text: bytes) -> Reply:
    """Send one message and return the reply that ends it, and how long that took since the connection was made."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began_s = time.monotonic()
    try:
        reply = await _reply(reader)
        for command in ("EHLO client.sender.test", f"MAIL FROM:<{sender}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
            if reply[:1] not in "23":
                break
            writer.write(command.encode() + b"\r\n")
            reply = await _reply(reader)
        if reply.startswith("354"):
            writer.write(text + b"\r\n.\r\n")
            reply = await _reply(reader)
        return Reply(reply, time.monotonic() - began_s)
    finally:
        writer.close()


async def _reply(reader: asyncio.StreamReader) -> str:
    while (line := (await reader.readline()).decode())[3:4] == "-":
        pass
    return line
