"""A load client that remembers every 250 by Message-ID (I/O: SMTP over loopback).

smtp-source stops at the first 451 or lost connection; this one goes on, with a new message.
"""

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, field

_REPLY_S = 60.0
_PAUSE_S = 0.1
_BODY = "\r\n".join(["A line of a plain message, seventy characters long, more or less."] * 50)


class Refused(Exception):
    """A reply other than the one that lets the client go on; its text is the exception's."""


async def send(port: int, message: str) -> None:
    """Send one message on a connection of its own. Raises Refused, OSError, EOFError, TimeoutError."""
    reader, writer = await _connected(port)
    try:
        await _hand_over(reader, writer, message)
        await _say(reader, writer, "QUIT", "221")
    finally:
        await _closed(writer)


def text(message_id: str, body: str) -> str:
    """Return a plain message of the tests' sender."""
    return (
        f"From: Someone <someone@sender.test>\r\nTo: demo@gatepost.test\r\nSubject: load\r\n"
        f"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: {message_id}\r\n\r\n{body}"
    )


@dataclass(slots=True)
class Load:
    """Several clients that send until told to stop. accepted: Message-IDs that got 250; lost: tries that did not."""

    port: int
    clients: int = 8
    accepted: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Send until `stop`; every client finishes its message."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.clients):
                group.create_task(self._client())

    def stop(self) -> None:
        """Have every client end after its message."""
        self._stop.set()

    async def wait_accepted(self, more: int, deadline_s: float = 120) -> None:
        """Return when so many more messages have been accepted."""
        wanted = len(self.accepted) + more
        async with asyncio.timeout(deadline_s):
            while len(self.accepted) < wanted:
                await asyncio.sleep(_PAUSE_S)

    async def _client(self) -> None:
        while not self._stop.is_set():
            try:
                await self._session(messages=5)
            except (OSError, EOFError, TimeoutError, Refused) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(_PAUSE_S)

    async def _session(self, messages: int) -> None:
        reader, writer = await _connected(self.port)
        try:
            for _ in range(messages):
                if self._stop.is_set():
                    break
                message_id = f"<{uuid.uuid4()}@sender.test>"
                await _hand_over(reader, writer, text(message_id, _BODY))
                self.accepted.add(message_id)
            await _say(reader, writer, "QUIT", "221")
        finally:
            await _closed(writer)


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await _expect(reader, "220")
        await _say(reader, writer, "EHLO mail.sender.test", "250")
    except BaseException:
        await _closed(writer)
        raise
    return reader, writer


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _hand_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: str) -> None:
    await _say(reader, writer, "MAIL FROM:<someone@sender.test>", "250")
    await _say(reader, writer, "RCPT TO:<demo@gatepost.test>", "250")
    await _say(reader, writer, "DATA", "354")
    await _say(reader, writer, message + "\r\n.", "250")


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, code: str) -> None:
    writer.write(line.encode() + b"\r\n")
    await writer.drain()
    await _expect(reader, code)


async def _expect(reader: asyncio.StreamReader, code: str) -> None:
    async with asyncio.timeout(_REPLY_S):
        while True:
            line = (await reader.readline()).decode("ascii", "replace")
            if not line:
                raise EOFError("connection lost")
            if line[3:4] != "-":
                break
    if not line.startswith(code):
        raise Refused(line.strip())
