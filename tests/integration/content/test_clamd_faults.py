"""A clamd that fails in every way: only its explicit OK makes a message clean."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from services.content.engines.clamd import ClamdEngine
from services.content.engines.clamd_session import ENGINE, REPLY_LIMIT, Session, read_reply
from services.content.engines.sample import Sample
from services.content.engines.scan import Clean, Encrypted, EngineError, Exceeded, Infected, ScanResult
from services.content.settings import ClamdSettings
from tests.scripted import Script, ScriptedClamd, Talk, server_of

CLEAN = Clean(ENGINE)


@contextlib.asynccontextmanager
async def engine_of(script: Script, sessions: int = 1) -> AsyncIterator[tuple[ClamdEngine, ScriptedClamd]]:
    clamd = ScriptedClamd(script)
    async with server_of(clamd.serve) as port:
        engine = ClamdEngine(ClamdSettings(addresses=[f"127.0.0.1:{port}"], sessions=sessions))
        try:
            yield engine, clamd
        finally:
            await engine.close()


def engine_at(*ports: int, patience_s: float = 5.0, stream_max_bytes: int = 10_000_000) -> ClamdEngine:
    settings = ClamdSettings(addresses=[f"127.0.0.1:{port}" for port in ports], stream_max_bytes=stream_max_bytes)
    return ClamdEngine(settings, patience_s=patience_s)


async def scan(engine: ClamdEngine, data: bytes) -> ScanResult:
    return await engine.scan(Sample(data))


async def judges(talk: Talk) -> None:
    while True:
        data = await talk.take()
        talk.answer("X-Test FOUND" if data.startswith(b"bad") else "OK")


async def says_nothing(talk: Talk) -> None:
    while True:
        await talk.take()


async def dies(talk: Talk) -> None:
    await talk.take()


async def says_garbage(talk: Talk) -> None:
    await talk.take()
    talk.say("garbage")


async def says_error(talk: Talk) -> None:
    while True:
        await talk.take()
        talk.answer("Can't write to temporary file ERROR")


async def test_scans_share_one_session() -> None:
    async with engine_of(judges) as (engine, clamd):
        assert await scan(engine, b"good") == CLEAN
        assert await scan(engine, b"bad") == Infected(ENGINE, "X-Test")
        assert clamd.sessions == 1


async def test_a_message_arrives_at_clamd_whole_in_any_size() -> None:
    async with engine_of(judges) as (engine, clamd):
        big = bytes(range(256)) * 12_000
        assert await scan(engine, big) == CLEAN
        assert clamd.received == [big]


async def test_answers_in_another_order_reach_their_own_scans() -> None:
    async def backwards(talk: Talk) -> None:
        await talk.take()
        first = talk.number
        await talk.take()
        talk.answer("Second FOUND")
        talk.answer("OK", first)
        await talk.take()

    async with engine_of(backwards) as (engine, _):
        first, second = await asyncio.gather(scan(engine, b"1"), scan(engine, b"2"))
        assert (first, second) == (CLEAN, Infected(ENGINE, "Second"))


async def test_a_daemon_that_dies_mid_scan_is_no_clean_word() -> None:
    async with engine_of(dies) as (engine, _):
        with pytest.raises(EngineError, match="closed the session"):
            await scan(engine, b"x")


@pytest.mark.parametrize("reply", ["{}: ", "{}: stream: ", "garbage", "{}: stream: OK-ish", "{}: stream: x ERROR"])
async def test_anything_but_ok_or_found_is_an_engine_error(reply: str) -> None:
    async def says(talk: Talk) -> None:
        await talk.take()
        talk.say(reply.format(talk.number))

    async with engine_of(says) as (engine, _):
        with pytest.raises(EngineError):
            await scan(engine, b"x")


async def test_a_version_that_is_none_is_an_engine_error() -> None:
    clamd = ScriptedClamd(judges, version="x" * 10_000)
    async with server_of(clamd.serve) as port:
        engine = engine_at(port)
        with pytest.raises(EngineError, match="LimitOverrun"):
            await scan(engine, b"x")
        await engine.close()


async def test_a_kept_session_that_ended_while_idle_is_replaced_at_once() -> None:
    async def one_only(talk: Talk) -> None:
        await talk.take()
        talk.answer("OK")

    async with engine_of(one_only) as (engine, clamd):
        assert await scan(engine, b"1") == CLEAN
        assert await scan(engine, b"2") == CLEAN
        assert clamd.sessions >= 2


async def test_a_daemon_that_hangs_is_left_at_the_callers_deadline_and_the_session_with_it() -> None:
    async with engine_of(says_nothing) as (engine, clamd):
        clamd.word_on_proofs = ""
        for sessions in (1, 2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await scan(engine, b"x")
            assert clamd.sessions == sessions


async def test_a_daemon_that_is_not_there_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="cannot be reached"):
        await scan(engine_at(1), b"x")


@pytest.mark.parametrize("failing", [dies, says_garbage, says_error, says_nothing])
async def test_a_scan_that_fails_is_done_by_another_daemon(failing: Script) -> None:
    bad, good = ScriptedClamd(failing), ScriptedClamd(judges)
    async with server_of(bad.serve) as first, server_of(good.serve) as second:
        engine = engine_at(first, second, patience_s=0.3)
        assert await scan(engine, b"bad one") == Infected(ENGINE, "X-Test")
        # It is put aside: the next ones do not wait for it.
        assert [await scan(engine, b"%d" % number) for number in range(5)] == [CLEAN] * 5
        assert len(bad.received) == 1
        await engine.close()


async def test_a_message_that_takes_long_is_given_to_the_next_one_and_the_first_answer_counts() -> None:
    """A message that is hard to scan gets the word of the daemon that was first at it (that it exceeds a limit)."""
    asked = asyncio.Event()

    async def answers_late(talk: Talk) -> None:
        await talk.take()
        await asked.wait()
        talk.answer("Heuristics.Limits.Exceeded.MaxScanTime FOUND")
        await talk.take()

    async def takes_longer(talk: Talk) -> None:
        await talk.take()
        asked.set()
        await talk.take()

    first, second = ScriptedClamd(answers_late), ScriptedClamd(takes_longer)
    async with server_of(first.serve) as one, server_of(second.serve) as other:
        engine = engine_at(one, other, patience_s=0.1)
        assert isinstance(await scan(engine, b"hard"), Exceeded)
        await engine.close()


async def test_a_daemon_that_is_gone_costs_nobody_his_answer() -> None:
    async with server_of(ScriptedClamd(judges).serve) as port:
        engine = engine_at(1, port)
        assert [await scan(engine, b"x") for _ in range(4)] == [CLEAN] * 4
        await engine.close()


async def test_the_daemon_with_the_least_to_do_is_asked() -> None:
    release = asyncio.Event()

    async def waits(talk: Talk) -> None:
        await talk.take()
        await release.wait()
        talk.answer("OK")
        await talk.take()

    slow, quick = ScriptedClamd(waits), ScriptedClamd(judges)
    async with server_of(slow.serve) as first, server_of(quick.serve) as second:
        engine = engine_at(first, second)
        held = asyncio.create_task(scan(engine, b"held"))
        while not slow.received:
            await asyncio.sleep(0.01)
        for number in range(4):
            await scan(engine, b"%d" % number)
        assert len(quick.received) == 4
        release.set()
        assert await held == CLEAN
        await engine.close()


async def test_a_daemon_that_answers_others_is_well_even_if_one_message_takes_too_long() -> None:
    held: list[int] = []

    async def one_is_hard(talk: Talk) -> None:
        while True:
            if (await talk.take()) == b"hard":
                held.append(talk.number)
            else:
                talk.answer("OK")

    async with engine_of(one_is_hard) as (engine, clamd):
        await scan(engine, b"x")
        hard = asyncio.create_task(asyncio.wait_for(scan(engine, b"hard"), 0.3))
        while not hard.done():
            await scan(engine, b"easy")
            await asyncio.sleep(0.01)
        assert isinstance(hard.exception(), TimeoutError)
        assert await scan(engine, b"y") == CLEAN
        assert clamd.sessions == 1


async def test_more_than_a_stream_may_hold_is_exceeded_without_being_sent() -> None:
    engine = engine_at(1, stream_max_bytes=1_000_000)
    assert await scan(engine, bytes(1_000_001)) == Exceeded(ENGINE, "stream_max_bytes")


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        ("stream: OK", CLEAN),
        ("stream: Win.Test.EICAR_HDB-1 FOUND", Infected(ENGINE, "Win.Test.EICAR_HDB-1")),
        ("stream: Heuristics.Encrypted.Zip FOUND", Encrypted(ENGINE, "Heuristics.Encrypted.Zip")),
        (
            "stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND",
            Exceeded(ENGINE, "Heuristics.Limits.Exceeded.MaxRecursion"),
        ),
        ("stream: Heuristics.Phishing.Email FOUND", Infected(ENGINE, "Heuristics.Phishing.Email")),
        ("INSTREAM size limit exceeded. ERROR", Exceeded(ENGINE, "StreamMaxLength")),
    ],
)
def test_clamds_words_have_these_meanings(reply: str, result: ScanResult) -> None:
    assert read_reply(reply) == result


@pytest.mark.parametrize(
    "reply",
    ["", "stream: FOUND", "OK", "stream: OK\nstream: OK extra ERROR", "x" * 1000, "stream: x OK", "stream: x ERROR"],
)
def test_a_reply_that_is_not_clamds_grammar_is_no_verdict(reply: str) -> None:
    with pytest.raises(EngineError):
        read_reply(reply)


@contextlib.asynccontextmanager
async def signed(version: str) -> AsyncIterator[tuple[ClamdEngine, ScriptedClamd]]:
    async with engine_of(judges) as (engine, clamd):
        clamd.version = version
        yield engine, clamd


class Blind(Sample):
    """A sample whose sending sees nothing of what clamd says meanwhile, as on a busy machine: it waits for `closed`."""

    def __init__(self, data: bytes, closed: threading.Event) -> None:
        super().__init__(data)
        self._closed = closed

    def pieces(self) -> Iterator[memoryview]:
        first, *rest = super().pieces()
        yield first
        assert self._closed.wait(10)
        yield from rest


def closes_with(words: bytes, closed: threading.Event) -> Iterator[int]:
    """Take one session in a thread, say some words in the middle of its stream, and close it unread; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    command = connection.recv(11)
                    if command.startswith(b"zVERSION"):
                        connection.sendall(b"ClamAV 1.4.2\0")
                        continue
                    connection.recv(1000)
                    connection.sendall(words)
                # A close with octets unread resets the connection.
                closed.set()
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize("words", [b"1: INSTREAM size limit exceeded. ERROR\0", b"1: INSTREAM size limit ", b""])
async def test_the_last_words_of_a_clamd_that_closes_in_the_middle_are_heard(words: bytes) -> None:
    closed = threading.Event()
    with contextlib.contextmanager(closes_with)(words, closed) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=REPLY_LIMIT)
        session = Session(reader, writer)
        scanning = session.scan(Blind(bytes(3_000_000), closed))
        if words.endswith(b"\0"):
            assert await scanning == Exceeded(ENGINE, "StreamMaxLength")
        else:
            with pytest.raises(EngineError, match="closed the session"):
                await scanning
        await session.close()


async def test_the_same_bytes_are_scanned_once_with_the_same_signatures() -> None:
    async with signed("ClamAV 1.4.2/27600/Mon Nov 23 08:26:03 2026") as (engine, clamd):
        for data in (b"a", b"bad", b"a", b"bad", b"a"):
            assert await scan(engine, data) == (Infected(ENGINE, "X-Test") if data == b"bad" else CLEAN)
        assert clamd.received == [b"a", b"bad"]


async def test_without_a_version_of_signatures_everything_is_scanned() -> None:
    async with signed("ClamAV 1.4.2") as (engine, clamd):
        for _ in range(3):
            await scan(engine, b"a")
        assert len(clamd.received) == 3


async def test_a_daemon_that_was_started_again_is_asked_for_its_version_before_a_result_is_believed() -> None:
    end = asyncio.Event()

    async def ends_when_told(talk: Talk) -> None:
        reading = asyncio.create_task(judges(talk))
        await end.wait()
        reading.cancel()

    async with engine_of(ends_when_told) as (engine, clamd):
        clamd.version = "ClamAV 1.4.2/27600/Mon"
        for _ in range(2):
            await scan(engine, b"a")
        assert len(clamd.received) == 1
        clamd.version = "ClamAV 1.4.2/27601/Tue"
        clamd.script = judges
        end.set()
        while len(clamd.received) == 1:
            await scan(engine, b"a")
            await asyncio.sleep(0.01)
        assert clamd.sessions == 2


async def test_what_is_over_a_limit_is_scanned_each_time() -> None:
    async def is_busy(talk: Talk) -> None:
        while True:
            await talk.take()
            talk.answer("Heuristics.Limits.Exceeded.MaxScanTime FOUND")

    async with engine_of(is_busy) as (engine, clamd):
        clamd.version = "ClamAV 1.4.2/27600/Mon"
        for _ in range(2):
            assert isinstance(await scan(engine, b"a"), Exceeded)
        assert len(clamd.received) == 2
