"""What the doctor says of the engines that content asks: clamd, Rspamd, spamd and an ICAP server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.console.doctor.finding import Level
from services.console.doctor.scanners import scanners
from services.console.settings import DoctorSettings
from tests.clamd import Clamd
from tests.rspamd import Rspamd
from tests.spamd import Spamd


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server on loopback that answers the same whatever it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def levels(settings: DoctorSettings) -> list[tuple[str, Level]]:
    return [(finding.topic, finding.level) for finding in await scanners(settings)]


async def test_every_engine_that_answers_is_good(clamd: Clamd, rspamd: Rspamd, spamd: Spamd) -> None:
    settings = DoctorSettings(clamd=[f"127.0.0.1:{clamd.port}"], rspamd=[rspamd.address], spamd=[spamd.address])
    assert await levels(settings) == [("clamd", Level.GOOD), ("rspamd", Level.GOOD), ("spamd", Level.GOOD)]


async def test_one_of_several_that_is_down_is_named_with_what_to_do(clamd: Clamd) -> None:
    up = f"127.0.0.1:{clamd.port}"
    first, second = await scanners(DoctorSettings(clamd=[up, "/nowhere/clamd.sock"]))
    assert (first.level, second.level) == (Level.GOOD, Level.WRONG)
    assert "/nowhere/clamd.sock" in second.text
    assert "451" in second.mend
    clamd.kill()
    assert await levels(DoctorSettings(clamd=[up])) == [("clamd", Level.WRONG)]


async def test_what_is_nowhere_named_is_not_looked_for() -> None:
    assert await scanners(DoctorSettings()) == []
    assert await levels(DoctorSettings(clamd=["nonsense"])) == [("clamd", Level.WRONG)]


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (b"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\n\r\n", Level.GOOD),
        (b"ICAP/1.0 404 ICAP Service not found\r\n\r\n", Level.WRONG),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Level.WRONG),
        (b"", Level.WRONG),
    ],
    ids=["there", "no such service", "another protocol", "closed"],
)
async def test_an_icap_service_is_good_only_if_its_server_knows_it(answer: bytes, level: Level) -> None:
    async with answering(answer) as port:
        assert await levels(DoctorSettings(icap=f"icap://127.0.0.1:{port}/scan")) == [("ICAP", level)]


async def test_an_engine_that_answers_something_else_is_wrong() -> None:
    async with answering(b"HTTP/1.1 500 Internal Server Error\r\n\r\n") as port:
        address = f"127.0.0.1:{port}"
        for settings in (DoctorSettings(rspamd=[address]), DoctorSettings(spamd=[address])):
            (finding,) = await scanners(settings)
            assert finding.level is Level.WRONG
            assert "500" in finding.text
