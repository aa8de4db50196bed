"""Antispam daemons that fail in every way: a bounded wait, an error, and never a verdict."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest

from services.content.engines.failover import FailoverEngine
from services.content.engines.rspamd import MAX_REPLY_BYTES, RspamdBackend
from services.content.engines.spam_engines import open_antispam
from services.content.settings import AntispamSettings
from services.content.spam import SpamEngine, SpamError
from tests.integration.content.faulty_daemon import (
    FaultyDaemon,
    Script,
    drips,
    floods,
    hangs,
    reads_nothing,
    resets,
    says,
)
from tests.integration.content.spam_samples import PLAIN, message, request

GOOD_JSON = b'{"score":1.5,"required_score":15,"action":"no action","symbols":{"A":{"score":1.5}}}'
GOOD_SPAMD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\nSpam: False ; 1.5 / 5.0\r\n\r\nhello"


def http(body: bytes, status: str = "200 OK", length: int | None = None, *fields: bytes) -> bytes:
    head = [f"HTTP/1.1 {status}".encode(), b"Content-Length: %d" % (len(body) if length is None else length), *fields]
    return b"\r\n".join([*head, b"", body])


RSPAMD_FAULTS: dict[str, Script] = {
    "resets": resets,
    "closes at once": says(),
    "garbage": says(b"\0\xff garbage\r\n\r\n"),
    "no HTTP": says(b"SPAMD/1.1 0 EX_OK\r\n\r\n"),
    "status 500": says(http(b'{"error":"no"}', "500 Internal Server Error")),
    "status 503 with a good body": says(http(GOOD_JSON, "503 Service Unavailable")),
    "redirect": says(http(b"", "302 Found", None, b"Location: http://127.0.0.1:1/")),
    "no JSON": says(http(b"<html>")),
    "an error in JSON": says(http(b'{"error":"task timeout"}')),
    "closes in the middle of the reply": says(http(GOOD_JSON, length=len(GOOD_JSON) + 10)),
    "closes in the middle of the head": says(http(GOOD_JSON)[:30]),
    "a huge reply": says(http(b" " * (MAX_REPLY_BYTES + 1) + GOOD_JSON)),
    "a reply without an end": says(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * MAX_REPLY_BYTES, b" " * 65_536),
    "a head without an end": floods,
    "a bad length": says(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    "bad chunks": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}"),
    "compressed without having been asked": says(http(GOOD_JSON, "200 OK", None, b"Content-Encoding: gzip")[:-1]),
}
SPAMD_FAULTS: dict[str, Script] = {
    "resets": resets,
    "closes at once": says(),
    "garbage": says(b"\0\xff garbage\r\n\r\n"),
    "no line": says(b"SPAMD/1.1 0 EX_OK"),
    "HTTP": says(http(GOOD_JSON)),
    "an error": says(b"SPAMD/1.1 75 EX_TEMPFAIL\r\n\r\n"),
    "an unknown error": says(b"SPAMD/1.1 99 WHATEVER\r\n\r\n"),
    "no score": says(b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\n\r\n"),
    "a score that is no number": says(GOOD_SPAMD.replace(b"1.5", b"nan")),
    "an endless score": says(GOOD_SPAMD.replace(b"1.5", b"1e999")),
    "a score in words": says(GOOD_SPAMD.replace(b"1.5", b"many")),
    "closes in the middle of the reply": says(GOOD_SPAMD[:-2]),
    "closes in the middle of the head": says(GOOD_SPAMD[:40]),
    "more than it said": says(GOOD_SPAMD + b"x"),
    "a length in words": says(GOOD_SPAMD.replace(b"5\r", b"five\r")),
    "a field that is no ASCII": says(GOOD_SPAMD.replace(b"Spam", b"Sp\xffm")),
    "a huge reply": floods,
    "a head without an end": says(b"SPAMD/1.1 0 EX_OK\r\n" + b"A: b\r\n" * 40_000 + b"\r\n"),
}


@contextlib.asynccontextmanager
async def engine_at(kind: str, address: str) -> AsyncIterator[SpamEngine]:
    engine = open_antispam(AntispamSettings.model_validate({"engine": kind, "addresses": [address]}), "gate.test")
    assert engine is not None
    try:
        yield engine
    finally:
        await engine.close()


@pytest.mark.parametrize("fault", RSPAMD_FAULTS)
async def test_whatever_rspamd_says_wrongly_is_no_verdict(fault: str) -> None:
    async with FaultyDaemon(RSPAMD_FAULTS[fault]) as daemon, engine_at("rspamd", daemon.address) as engine:
        with pytest.raises(SpamError):
            async with asyncio.timeout(5):
                await engine.judge(request())


@pytest.mark.parametrize("fault", SPAMD_FAULTS)
async def test_whatever_spamd_says_wrongly_is_no_verdict(fault: str) -> None:
    async with FaultyDaemon(SPAMD_FAULTS[fault]) as daemon, engine_at("spamd", daemon.address) as engine:
        with pytest.raises(SpamError):
            async with asyncio.timeout(5):
                await engine.judge(request())


@pytest.mark.parametrize("kind", ["rspamd", "spamd"])
@pytest.mark.parametrize("script", [hangs, reads_nothing, drips])
async def test_a_daemon_that_gives_no_answer_costs_no_more_than_its_time(kind: str, script: Script) -> None:
    big = request(message("a line\r\n" * 500_000))
    async with FaultyDaemon(script) as daemon, engine_at(kind, daemon.address) as engine:
        for question in (request(), big):
            with pytest.raises((TimeoutError, SpamError)):
                async with asyncio.timeout(0.3):
                    await engine.judge(question)


@pytest.mark.parametrize(("kind", "answer"), [("rspamd", http(GOOD_JSON)), ("spamd", GOOD_SPAMD)])
async def test_an_answer_in_small_pieces_counts(kind: str, answer: bytes) -> None:
    pieces = says(*(answer[at : at + 7] for at in range(0, len(answer), 7)), pause_s=0.001)
    async with FaultyDaemon(pieces) as daemon, engine_at(kind, daemon.address) as engine:
        assert (await engine.judge(request())).score == 1.5


@pytest.mark.parametrize(("kind", "answer"), [("rspamd", http(GOOD_JSON)), ("spamd", GOOD_SPAMD)])
async def test_a_daemon_that_hung_is_asked_again_by_itself(kind: str, answer: bytes) -> None:
    async with FaultyDaemon(hangs) as daemon, engine_at(kind, daemon.address) as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await engine.judge(request())
        daemon.script = says(answer)
        assert (await engine.judge(request())).score == 1.5


async def test_each_message_is_given_as_it_is() -> None:
    taken: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        taken.extend((head, await reader.readexactly(len(PLAIN))))
        writer.write(http(GOOD_JSON))
        await writer.drain()

    async with FaultyDaemon(script) as daemon, engine_at("rspamd", daemon.address) as engine:
        await engine.judge(request())
    lines = taken[0].split(b"\r\n")
    assert lines[0] == b"POST /checkv2 HTTP/1.1"
    assert {b"IP: 192.0.2.1", b"Helo: mail.sender.test", b"Rcpt: bob@gatepost.test", b"MTA-Name: gate.test"} <= set(
        lines
    )
    assert taken[1] == PLAIN


async def test_a_kept_connection_is_used_again_and_its_end_costs_no_verdict() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(PLAIN))
            writer.write(http(GOOD_JSON, "200 OK", None, b"Connection: keep-alive"))
            await writer.drain()

    async with FaultyDaemon(script) as daemon, engine_at("rspamd", daemon.address) as engine:
        for _ in range(12):
            assert (await engine.judge(request())).score == 1.5
    assert connections == 4


@pytest.mark.parametrize(("kind", "answer"), [("rspamd", http(GOOD_JSON)), ("spamd", GOOD_SPAMD)])
async def test_the_beginning_of_a_large_message_is_given_and_the_report_says_so(kind: str, answer: bytes) -> None:
    taken = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        taken.extend(await reader.readexactly(int(length[1])))
        writer.write(answer)
        await writer.drain()

    large = message("a line of a large message\r\n" * 100_000)
    async with FaultyDaemon(script) as daemon, engine_at(kind, daemon.address) as engine:
        report = await engine.judge(request(large))
    given = bytes(taken).removeprefix(b"Return-Path: <alice@sender.test>\r\n")
    assert report.examined_bytes == len(given) <= 2_000_000
    assert given == large[: len(given)]
    assert given.endswith(b"\n")


async def test_the_next_address_answers_where_one_is_away_and_all_take_their_turn() -> None:
    async with FaultyDaemon(says(http(GOOD_JSON))) as one, FaultyDaemon(says(http(GOOD_JSON))) as two:
        engine = FailoverEngine(RspamdBackend(4, "gate.test", 100_000), ["127.0.0.1:1", one.address, two.address])
        try:
            for _ in range(9):
                assert (await engine.judge(request())).score == 1.5
        finally:
            await engine.close()
        assert (one.asked + two.asked, min(one.asked, two.asked) >= 3) == (9, True)


async def test_cancelling_leaves_no_connection_behind() -> None:
    asked, gone = asyncio.Queue[None](), asyncio.Queue[None]()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(None)
        with contextlib.suppress(OSError):
            while await reader.read(65_536):
                pass
        gone.put_nowait(None)

    async with FaultyDaemon(script) as daemon, engine_at("rspamd", daemon.address) as engine:
        for _ in range(20):  # far more than there may be connections
            task = asyncio.create_task(engine.judge(request()))
            await asyncio.wait_for(asked.get(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(gone.get(), 5)
