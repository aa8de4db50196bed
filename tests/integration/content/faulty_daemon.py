"""A daemon that takes a question and answers as a script says, or not at all.

async with FaultyDaemon(garbage) as daemon:
    daemon.address, daemon.asked
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class FaultyDaemon:
    """Listens on a free port of 127.0.0.1. script: reads what it likes and writes what it likes; then it is closed.

    asked: connections so far.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked = 0
        self._serving: list[tuple[asyncio.Task[None], asyncio.StreamWriter]] = []
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> "FaultyDaemon":
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task, writer in self._serving:
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*(task for task, _ in self._serving), return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self._serving.append((asyncio.create_task(self._serve(reader, writer)), writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.script(reader, writer)
        writer.transport.abort()


def says(*pieces: bytes, pause_s: float = 0.0) -> Script:
    """Answer with these pieces, whatever is asked, and close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        writer.close()
        await writer.wait_closed()

    return script


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the question, and say nothing for ever."""
    await reader.read(65_536)
    await asyncio.Event().wait()


async def reads_nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the connection, and not even the question."""
    await asyncio.Event().wait()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break the connection off in the middle of the question."""
    await reader.read(10)
    writer.transport.abort()


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer without an end."""
    await reader.read(65_536)
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer an octet at a time, without an end."""
    await reader.read(65_536)
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.01)
