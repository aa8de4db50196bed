"""A door between a gateway and an engine, which the test opens, shuts, holds, and lets lead elsewhere (I/O: TCP).

async with Door(clamd.port) as door:
    door.port                    # what the gateway is told
    await door.shut()            # connections end, and further ones are refused
    await door.open()
    with door.held():            # what the engine answers stays here until the end
        ...
    with door.leading_to(port):  # somebody else answers
        ...
    await door.passed(4000)      # the engine was given so many octets from now on
"""

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType

_PIECE_BYTES = 65_536


class Door:
    """Listens on one port of 127.0.0.1, the same whenever it is open."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._free = asyncio.Event()
        self._free.set()
        self._given = 0
        self._changed = asyncio.Event()

    @property
    def address(self) -> str:
        """What the gateway is told."""
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Take none any more, and end all."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep all answers for the length of a `with`; then they go on, as late as they are."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    @contextlib.contextmanager
    def leading_to(self, port: int) -> Iterator[None]:
        """Have somebody else answer for the length of a `with`."""
        real, self._target = self._target, port
        self._cut()
        try:
            yield
        finally:
            self._target = real
            self._cut()

    async def passed(self, octets: int, deadline_s: float = 20) -> None:
        """Return when the engine was given so many octets more. Raises TimeoutError."""
        wanted = self._given + octets
        async with asyncio.timeout(deadline_s):
            while self._given < wanted:
                self._changed.clear()
                await self._changed.wait()

    async def __aenter__(self) -> "Door":
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free.set()
        await self.shut()

    def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            answers, questions = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(questions)
        there = asyncio.create_task(self._pass_questions(reader, questions))
        back = asyncio.create_task(self._pass_answers(answers, writer))
        try:
            # Whoever has asked all may still wait for an answer; an engine that ends has none.
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            if there.done() and there.result():
                await back
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            for each in (writer, questions):
                each.close()
                self._writers.discard(each)

    async def _pass_questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Return whether the engine was told that no more comes."""
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
                self._given += len(piece)
                self._changed.set()
            writer.write_eof()
            return True
        return False

    async def _pass_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                await self._free.wait()
                writer.write(piece)
                await writer.drain()
