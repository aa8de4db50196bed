"""Engines that misbehave as told: a clamd and an ICAP server whose every answer the test writes."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from shared.clamd_proof import proofs

Script = Callable[["Talk"], Awaitable[None]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def server_of(serve: Serve) -> AsyncIterator[int]:
    """Serve each connection on a free port; at the end wait for all of them."""
    serving: list[asyncio.Task[None]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        # Connections that were taken a moment ago begin to be served, and see that nobody is there any more.
        for _ in range(10):
            await asyncio.sleep(0)
        server.close()
        _, waiting = await asyncio.wait(serving, timeout=5) if serving else ((), ())
        for task in waiting:
            task.cancel()


class Talk:
    """One session, as clamd sees it. number: of the last stream that was taken."""

    def __init__(self, clamd: "ScriptedClamd", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clamd = clamd
        self._reader = reader
        self._writer = writer
        self.number = 0

    async def take(self) -> bytes:
        """Return the next message; the proofs of limits are answered here."""
        while True:
            data = await self._stream()
            if data not in proofs().values():
                self._clamd.received.append(data)
                return data
            if self._clamd.word_on_proofs:
                self.answer(self._clamd.word_on_proofs)

    def answer(self, word: str, number: int | None = None) -> None:
        """Answer a stream, the last one unless told otherwise."""
        self.say(f"{number or self.number}: stream: {word}")

    def say(self, text: str) -> None:
        """Say anything."""
        self._writer.write(text.encode() + b"\0")

    async def _stream(self) -> bytes:
        command = await self._reader.readuntil(b"\0")
        if command == b"zEND\0":
            raise asyncio.IncompleteReadError(b"", None)
        assert command == b"zINSTREAM\0"
        self.number += 1
        data = b""
        while size := struct.unpack("!L", await self._reader.readexactly(4))[0]:
            data += await self._reader.readexactly(size)
        return data


class ScriptedClamd:
    """Answers VERSION, and in each session says whatever the script says."""

    def __init__(self, script: Script, version: str = "ClamAV 1.4.2") -> None:
        self.script = script
        self.version = version
        self.word_on_proofs = "Heuristics.Limits.Exceeded.MaxRecursion FOUND"
        self.sessions = 0
        self.received: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        first = await reader.readuntil(b"\0")
        if first == b"zVERSION\0":
            writer.write(self.version.encode() + b"\0")
            return
        assert first == b"zIDSESSION\0"
        self.sessions += 1
        await self.script(Talk(self, reader, writer))
