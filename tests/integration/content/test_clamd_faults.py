"""A clamd that fails in every way: only its explicit OK makes a message clean."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from services.content.engines.clamd import ClamdEngine, Clean, EngineError, Infected, read_reply

Script = Callable[["ScriptedClamd", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedClamd:
    """Speaks IDSESSION and INSTREAM as clamd does, and then whatever the script says."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.sessions = 0
        self.received: list[bytes] = []
        self.serving: list[asyncio.Task[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            assert await reader.readuntil(b"\0") == b"zIDSESSION\0"
            await self.script(self, reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def take(self, reader: asyncio.StreamReader) -> bytes:
        command = await reader.readuntil(b"\0")
        if command == b"zEND\0":
            raise asyncio.IncompleteReadError(b"", None)
        assert command == b"zINSTREAM\0"
        data = b""
        while size := struct.unpack("!L", await reader.readexactly(4))[0]:
            data += await reader.readexactly(size)
        self.received.append(data)
        return data


@contextlib.asynccontextmanager
async def engine_of(script: Script, sessions: int = 1) -> AsyncIterator[tuple[ClamdEngine, ScriptedClamd]]:
    clamd = ScriptedClamd(script)
    server = await asyncio.start_server(clamd.serve, "127.0.0.1", 0)
    engine = ClamdEngine("127.0.0.1", server.sockets[0].getsockname()[1], sessions)
    try:
        yield engine, clamd
    finally:
        await engine.close()
        server.close()
        await asyncio.gather(*clamd.serving)


async def answers_ok(clamd: ScriptedClamd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for number in range(1, 1000):
        data = await clamd.take(reader)
        answer = "X-Test FOUND" if data.startswith(b"bad") else "OK"
        writer.write(f"{number}: stream: {answer}".encode() + b"\0")


async def test_scans_share_one_session() -> None:
    async with engine_of(answers_ok) as (engine, clamd):
        assert await engine.scan(b"good") == Clean()
        assert await engine.scan(b"bad") == Infected("X-Test")
        assert clamd.sessions == 1


async def test_a_message_arrives_at_clamd_whole_in_any_size() -> None:
    async with engine_of(answers_ok) as (engine, clamd):
        big = bytes(range(256)) * 12_000
        assert await engine.scan(big) == Clean()
        assert clamd.received == [big]


async def test_answers_in_another_order_reach_their_own_scans() -> None:
    async def backwards(clamd: ScriptedClamd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await clamd.take(reader)
        await clamd.take(reader)
        writer.write(b"2: stream: Second FOUND\0" + b"1: stream: OK\0")

    async with engine_of(backwards) as (engine, _):
        first, second = await asyncio.gather(engine.scan(b"1"), engine.scan(b"2"))
        assert (first, second) == (Clean(), Infected("Second"))


async def test_a_daemon_that_dies_mid_scan_is_no_clean_word() -> None:
    async def dies(clamd: ScriptedClamd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await clamd.take(reader)

    async with engine_of(dies) as (engine, _):
        with pytest.raises(EngineError, match="closed the session"):
            await engine.scan(b"x")


@pytest.mark.parametrize(
    "reply",
    [b"1: \0", b"1: stream: \0", b"garbage\0", b"1: stream: OK-ish\0", b"INSTREAM size limit exceeded. ERROR\0"],
)
async def test_anything_but_ok_or_found_is_an_engine_error(reply: bytes) -> None:
    async def says(clamd: ScriptedClamd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await clamd.take(reader)
        writer.write(reply)

    async with engine_of(says) as (engine, _):
        with pytest.raises(EngineError):
            await engine.scan(b"x")


async def test_a_kept_session_that_ended_while_idle_is_replaced_at_once() -> None:
    async def one_only(clamd: ScriptedClamd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await clamd.take(reader)
        writer.write(b"1: stream: OK\0")

    async with engine_of(one_only) as (engine, clamd):
        assert await engine.scan(b"1") == Clean()
        assert await engine.scan(b"2") == Clean()
        assert clamd.sessions == 2


async def test_a_daemon_that_hangs_is_left_at_the_callers_deadline_and_the_session_with_it() -> None:
    release = asyncio.Event()

    async def hangs(clamd: ScriptedClamd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await clamd.take(reader)
        await release.wait()

    async with engine_of(hangs) as (engine, clamd):
        for sessions in (1, 2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await engine.scan(b"x")
            assert clamd.sessions == sessions
        release.set()


async def test_a_daemon_that_is_not_there_is_an_engine_error() -> None:
    engine = ClamdEngine("127.0.0.1", 1)
    with pytest.raises(EngineError, match="cannot be reached"):
        await engine.scan(b"x")


@pytest.mark.parametrize("reply", ["", "stream: FOUND", "OK", "stream: OK\nstream: OK extra ERROR", "x" * 1000])
def test_a_reply_that_is_not_clamds_grammar_is_no_verdict(reply: str) -> None:
    with pytest.raises(EngineError):
        read_reply(reply)
