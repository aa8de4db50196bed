"""A second antivirus engine behind ICAP: a real server, and one that answers whatever the test says."""

import asyncio
import base64
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.content.engines.antivirus import open_antivirus
from services.content.engines.icap import IcapEngine
from services.content.engines.sample import Sample
from services.content.engines.scan import Clean, Encrypted, EngineError, Exceeded, Infected, ScanResult
from services.content.settings import ClamdSettings, IcapSettings
from shared.clamd_proof import proofs
from tests.cicap import Cicap
from tests.clamd import EICAR, SIGNATURE_NAME, Clamd
from tests.scripted import server_of

NAME = "ICAP service avscan"
CLEAN = Clean(NAME)
FOUND = Infected(NAME, f"{SIGNATURE_NAME}.UNOFFICIAL")
MAIL = b"From: a@a.test\r\nSubject: hello\r\n\r\n"


class Behind:
    """c-icap and the clamd behind it."""

    def __init__(self, clamd: Clamd, server: Cicap) -> None:
        self.clamd = clamd
        self.server = server


@pytest.fixture(scope="module")
def cicap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """One c-icap with a clamd of its own; by its module, c-icap talks to clamd over a socket."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-clamd-test-", dir="/tmp"))
    folder.chmod(0o777)
    clamd = Clamd(tmp_path_factory.mktemp("clamd"), folder / "clamd.sock")
    clamd.start()
    with Cicap(folder / "clamd.sock") as server:
        yield Behind(clamd, server)
    clamd.kill()
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def engine_at(url: str, connections: int = 2, cache_entries: int = 0) -> AsyncIterator[IcapEngine]:
    engine = IcapEngine(IcapSettings(url=url, connections=connections), cache_entries=cache_entries)
    try:
        yield engine
    finally:
        await engine.close()


async def scan(engine: IcapEngine, data: bytes) -> ScanResult:
    return await engine.scan(Sample(data))


async def test_a_real_server_finds_malware_in_mail(cicap: Behind) -> None:
    coded = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\nContent-Type: application/zip\r\n"
    async with engine_at(cicap.server.url) as engine:
        assert await scan(engine, MAIL + b"hello\r\n") == CLEAN
        assert await scan(engine, MAIL + EICAR + b"\r\n") == FOUND
        assert await scan(engine, coded + MAIL + base64.encodebytes(EICAR)) == FOUND
        assert await scan(engine, MAIL + b"hello again\r\n") == CLEAN


async def test_a_real_server_says_what_it_cannot_look_into(cicap: Behind) -> None:
    locked = base64.encodebytes(proofs()["AlertEncryptedArchive"])
    head = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\nContent-Type: application/zip\r\n"
    async with engine_at(cicap.server.url) as engine:
        assert await scan(engine, head + MAIL + locked) == Encrypted(NAME, "Heuristics.Encrypted.Zip")


async def test_a_large_message_reaches_a_real_server_whole(cicap: Behind) -> None:
    async with engine_at(cicap.server.url) as engine:
        assert await scan(engine, MAIL + b"x" * 6_000_000 + EICAR) == FOUND
        assert await scan(engine, MAIL + b"x" * 6_000_000) == CLEAN


async def test_many_messages_go_over_few_connections_that_the_server_ends_now_and_then(cicap: Behind) -> None:
    async with engine_at(cicap.server.url) as engine:
        results = await asyncio.gather(*(scan(engine, MAIL + b"%d" % number) for number in range(40)))
        assert results == [CLEAN] * 40


async def test_a_server_whose_engine_is_gone_says_nothing_clean(cicap: Behind) -> None:
    async with engine_at(cicap.server.url) as engine:
        cicap.clamd.kill()
        try:
            with pytest.raises(EngineError):
                await scan(engine, MAIL + b"hello\r\n")
        finally:
            cicap.clamd.start()
        assert await scan(engine, MAIL + b"hello\r\n") == CLEAN


async def test_a_service_that_does_not_exist_is_an_error(cicap: Behind) -> None:
    async with engine_at(cicap.server.url + "-not") as engine:
        with pytest.raises(EngineError, match="404"):
            await scan(engine, MAIL)


async def test_both_engines_must_say_clean(cicap: Behind, clamd: Clamd) -> None:
    both = open_antivirus(ClamdSettings(addresses=[clamd.address]), IcapSettings(url=cicap.server.url))
    assert await both.scan(MAIL) == Clean(f"ClamAV and {NAME}")
    assert isinstance(await both.scan(MAIL + EICAR), Infected)
    clamd.kill()
    # What one has found, the other's failure does not undo; and without it nobody knows.
    assert await both.scan(MAIL + EICAR) == FOUND
    with pytest.raises(EngineError):
        await both.scan(MAIL)
    await both.close()


# ---- a server that answers whatever the test says

OFFER = b'ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nAllow: 204\r\nISTag: "1"\r\nEncapsulated: null-body=0\r\n\r\n'
UNMODIFIED = b'ICAP/1.0 204 No Content\r\nISTag: "1"\r\n\r\n'
BLOCKED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n2\r\nno\r\n0\r\n\r\n"


class ScriptedIcap:
    """Takes whole requests and gives the answers in turn; the last one for ever. None: no answer at all."""

    def __init__(self, *answers: bytes | None, offer: bytes = OFFER) -> None:
        self.answers = list(answers)
        self.offer = offer
        self.url = ""
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"OPTIONS"):
                writer.write(self.offer)
                continue
            request = head + await reader.readuntil(b"0\r\n\r\n")
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is None:
                await reader.read()
                return
            writer.write(answer)
            if b"Connection: close" in answer:
                return


@contextlib.asynccontextmanager
async def scripted(
    *answers: bytes | None, offer: bytes = OFFER, cache_entries: int = 0
) -> AsyncIterator[tuple[IcapEngine, ScriptedIcap]]:
    server = ScriptedIcap(*answers, offer=offer)
    async with server_of(server.serve) as port:
        server.url = f"icap://127.0.0.1:{port}/avscan"
        async with engine_at(server.url, connections=1, cache_entries=cache_entries) as engine:
            yield engine, server


async def test_the_request_is_the_standards() -> None:
    async with scripted(UNMODIFIED) as (engine, server):
        await scan(engine, b"Subject: x\r\n\r\ny")
    [request] = server.requests
    head, asked, given, body = request.split(b"\r\n\r\n", 3)
    assert head.startswith(b"RESPMOD icap://127.0.0.1:")
    sections = dict(part.split(b"=") for part in head.rpartition(b"Encapsulated: ")[2].split(b", "))
    # RFC 3507 §4.4.1: offsets count from the beginning of the encapsulated message.
    inside = request[len(head) + 4 :]
    assert inside[int(sections[b"res-hdr"]) :].startswith(b"HTTP/1.1 200 OK\r\n")
    assert inside[int(sections[b"res-body"]) :] == body == b"f\r\nSubject: x\r\n\r\ny\r\n0\r\n\r\n"
    assert asked.startswith(b"GET ")
    assert given.endswith(b"Content-Length: 15")
    assert b"\r\nAllow: 204\r\n" in head
    assert b"Preview" not in head


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (UNMODIFIED, CLEAN),
        (
            b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=W32.A;\r\n\r\n",
            Infected(NAME, "W32.A"),
        ),
        (b"ICAP/1.0 204 OK\r\nX-Infection-Found: Type=0; Resolution=0; Threat=W32.A;\r\n\r\n", Infected(NAME, "W32.A")),
        (b"ICAP/1.0 200 OK\r\nX-Virus-ID: W32.B\r\n\r\n", Infected(NAME, "W32.B")),
        (
            b"ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\ta.zip\r\n\tW32.C\r\n\t0\r\n\t2\r\n\r\n",
            Infected(NAME, "W32.C"),
        ),
        (b"ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\r\n", Infected(NAME, "unnamed malware")),
        (b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=2; Resolution=2; Threat=Deep;\r\n\r\n", Exceeded(NAME, "Deep")),
        (
            b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Threat=Heuristics.Encrypted.Zip;\r\n\r\n",
            Encrypted(NAME, "Heuristics.Encrypted.Zip"),
        ),
        (b"ICAP/1.0 200 OK\r\nX-Virus-ID: a\x1b[31m\xff\r\n\r\n", Infected(NAME, "a?[31m?")),
        (
            b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=46\r\n\r\n" + BLOCKED,
            Infected(NAME, "unnamed malware"),
        ),
    ],
)
async def test_its_answers_have_these_meanings(answer: bytes, result: ScanResult) -> None:
    async with scripted(answer) as (engine, _):
        assert await scan(engine, MAIL) == result


@pytest.mark.parametrize(
    "answer",
    [
        b"ICAP/1.0 200 OK\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nX-Violations-Found: 0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=19\r\n\r\nHTTP/1.1 500 No\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0\r\n\r\nConnection: close\r\n\r\n",
        b"ICAP/1.0 100 Continue\r\n\r\n",
        b"ICAP/1.0 206 Partial Content\r\n\r\n",
        b"ICAP/1.0 500 Server error\r\nConnection: close\r\n\r\n",
        b"ICAP/1.0 204\r\n\r\n"[:-2] + b"Connection: close",
        b"ICAP/1.0 2040 OK\r\n\r\n",
        b"ICAP/1.0 204 OK\r\nno field\r\n\r\n",
        b"ICAP/2.0 204 OK\r\n\r\n",
        b"HTTP/1.1 404 No\r\n\r\n",
        b"\r\n\r\n",
        b"Connection: close",
        b"x" * 100_000,
        b"ICAP/1.0 204 OK\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    ],
)
async def test_whatever_is_no_explicit_word_is_an_error(answer: bytes) -> None:
    async with scripted(answer) as (engine, _):
        with pytest.raises(EngineError):
            await scan(engine, MAIL)


@pytest.mark.parametrize(
    "offer",
    [
        OFFER.replace(b"RESPMOD", b"REQMOD"),
        OFFER.replace(b"Allow: 204\r\n", b""),
        b"ICAP/1.0 404 No\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nMethods: RESPMOD",
        b"SSH-2.0-x\r\n\r\n",
    ],
)
async def test_a_service_that_offers_something_else_is_an_error(offer: bytes) -> None:
    server = ScriptedIcap(UNMODIFIED, offer=offer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(server.offer)

    async with server_of(serve) as port, engine_at(f"icap://127.0.0.1:{port}/avscan") as engine:
        with pytest.raises(EngineError):
            await scan(engine, MAIL)


async def test_a_connection_is_kept_and_replaced_where_the_server_has_ended_it() -> None:
    closes = UNMODIFIED[:-2] + b"Connection: close\r\n\r\n"
    async with scripted(UNMODIFIED, UNMODIFIED, closes, UNMODIFIED) as (engine, server):
        assert [await scan(engine, MAIL) for _ in range(5)] == [CLEAN] * 5
        assert server.connections == 2


async def test_a_connection_that_ends_while_idle_costs_nobody_his_answer() -> None:
    ended = asyncio.Event()

    async def one_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OFFER)
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(UNMODIFIED)
        ended.set()

    async with server_of(one_only) as port, engine_at(f"icap://127.0.0.1:{port}/avscan") as engine:
        for _ in range(3):
            assert await scan(engine, MAIL) == CLEAN
            await ended.wait()
            ended.clear()


async def test_a_server_that_hangs_is_left_at_the_deadline_and_its_late_answer_is_nobody_elses() -> None:
    infected = b"ICAP/1.0 200 OK\r\nX-Virus-ID: late\r\n\r\n"
    async with scripted(None, UNMODIFIED, infected) as (engine, server):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await scan(engine, MAIL)
        assert await scan(engine, MAIL) == CLEAN
        assert server.connections == 2


async def test_a_server_may_answer_before_it_has_taken_all() -> None:
    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OFFER)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ICAP/1.0 200 OK\r\nX-Virus-ID: early\r\n\r\n")
        await reader.read()

    async with server_of(at_once) as port, engine_at(f"icap://127.0.0.1:{port}/avscan") as engine:
        assert await scan(engine, bytes(20_000_000)) == Infected(NAME, "early")


async def test_a_result_is_kept_as_long_as_the_service_says_that_it_is_the_same() -> None:
    other = UNMODIFIED.replace(b'"1"', b'"2"')
    async with scripted(UNMODIFIED, UNMODIFIED, UNMODIFIED, other, cache_entries=10) as (engine, server):
        for data in (b"a", b"a", b"b", b"a", b"c", b"a"):
            assert await scan(engine, data) == CLEAN
        # Not the first one's, whose tag came with its answer; and "a" again when the answer to "c" brought another tag.
        assert [request.split(b"\r\n")[-4] for request in server.requests] == [b"a", b"a", b"b", b"c", b"a"]


async def test_who_found_malware_waits_for_nobody(clamd: Clamd) -> None:
    async with scripted(None) as (_, hanging):
        both = open_antivirus(ClamdSettings(addresses=[clamd.address]), IcapSettings(url=hanging.url))
        assert await asyncio.wait_for(both.scan(MAIL + EICAR), 2) == Infected("ClamAV", f"{SIGNATURE_NAME}.UNOFFICIAL")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(both.scan(MAIL), 0.2)
        await both.close()
