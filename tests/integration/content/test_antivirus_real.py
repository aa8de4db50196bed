"""Real engines: what clamd finds and where, what it says of what it cannot look into, and what happens when it fails."""

import asyncio
import base64
import gzip
import io
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.content.engines.antivirus import Antivirus, open_antivirus
from services.content.engines.clamd import ClamdEngine
from services.content.engines.clamd_session import ENGINE
from services.content.engines.scan import Clean, Encrypted, EngineError, Exceeded, Infected
from services.content.settings import ClamdSettings, IcapSettings
from shared.clamd_proof import proofs
from tests.clamd import EICAR, SIGNATURE_NAME, Clamd

CLEAN = Clean(ENGINE)
FOUND = Infected(ENGINE, f"{SIGNATURE_NAME}.UNOFFICIAL")
OUR_ID = "01jd7w5k3x" + "0" * 16
OUR_FIELDS = (
    f"Received: from h.a.test (x.a.test [192.0.2.1])\r\n\tby mx.b.test (Gatepost) with ESMTP id {OUR_ID}\r\n"
    "\tfor <b@b.test>; Tue, 24 Nov 2026 13:00:00 +0000\r\n"
    f"X-Gatepost-Seen: {OUR_ID} 0123456789abcdef\r\n"
).encode()
# Nothing of it looks like mail to clamd, which then would not decode the body.
ODD_HEADER = b"X-Odd: 1\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"


@pytest.fixture(scope="module")
def sockets() -> Iterator[Path]:
    """A folder in which clamd may make a socket."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-clamd-test-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, sockets: Path) -> Iterator[Clamd]:
    """Another clamd, with a socket, that says OK to what it cannot look into, and takes short streams alone."""
    lines = ("AlertExceedsMax no", "AlertEncryptedArchive no", "StreamMaxLength 2M")
    engine = Clamd(tmp_path_factory.mktemp("clamd"), sockets / "clamd.sock", lines)
    engine.start()
    yield engine
    engine.kill()


@pytest.fixture
async def antivirus(clamd: Clamd) -> AsyncIterator[Antivirus]:
    engine = over(clamd.address)
    yield engine
    await engine.close()


def over(*addresses: str) -> Antivirus:
    return open_antivirus(ClamdSettings(addresses=list(addresses)), IcapSettings())


def zipped(content: bytes, name: str = "content") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return archive.getvalue()


def attached(content: bytes, name: str = "a.bin", first: bytes = b"From: a@a.test") -> bytes:
    return b"\r\n".join(
        [
            first,
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="b"',
            b"",
            b"--b",
            b"Content-Type: text/plain",
            b"",
            b"hello",
            b"--b",
            b'Content-Type: application/octet-stream; name="' + name.encode() + b'"',
            b"Content-Transfer-Encoding: base64",
            b"",
            base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--b--",
            b"",
        ]
    )


def enclosed(message: bytes) -> bytes:
    return b"From: a@a.test\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + message


def layered(layers: int) -> bytes:
    data = os.urandom(30)
    for _ in range(layers):
        data = gzip.compress(data)
    return data


@pytest.mark.parametrize(
    "message",
    [
        EICAR,
        b"From: a@a.test\r\n\r\n" + EICAR + b"\r\n",
        attached(EICAR),
        attached(zipped(EICAR)),
        attached(zipped(zipped(EICAR, "inner.zip"), "outer.zip")),
        enclosed(attached(zipped(EICAR))),
        OUR_FIELDS + attached(zipped(EICAR), first=b"X-Odd: 1"),
        OUR_FIELDS + ODD_HEADER + base64.encodebytes(zipped(EICAR)),
    ],
    ids=["raw", "body", "base64", "zip", "nested zip", "attached message", "odd first field", "odd header"],
)
async def test_malware_is_found_wherever_it_is(antivirus: Antivirus, message: bytes) -> None:
    assert await antivirus.scan(message) == FOUND


async def test_a_plain_message_is_clean(antivirus: Antivirus) -> None:
    assert await antivirus.scan(OUR_FIELDS + attached(zipped(b"hello"))) == CLEAN


async def test_a_locked_archive_is_encrypted(antivirus: Antivirus) -> None:
    result = await antivirus.scan(attached(proofs()["AlertEncryptedArchive"], "a.zip"))
    assert result == Encrypted(ENGINE, "Heuristics.Encrypted.Zip")


async def test_an_archive_with_too_many_layers_is_exceeded(antivirus: Antivirus) -> None:
    result = await antivirus.scan(attached(layered(40), "a.gz"))
    assert result == Exceeded(ENGINE, "Heuristics.Limits.Exceeded.MaxRecursion")


async def test_malware_beside_what_is_locked_is_malware(antivirus: Antivirus) -> None:
    archive = io.BytesIO(proofs()["AlertEncryptedArchive"])
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("more.txt", EICAR)
    assert await antivirus.scan(attached(archive.getvalue(), "a.zip")) == FOUND


async def test_a_socket_serves_as_well_as_a_port(second: Clamd, sockets: Path) -> None:
    engine = over(str(sockets / "clamd.sock"))
    assert [await engine.scan(EICAR), await engine.scan(b"hello")] == [FOUND, CLEAN]
    await engine.close()


async def test_a_stream_that_clamd_will_not_take_is_exceeded_and_the_next_message_is_scanned(second: Clamd) -> None:
    engine = over(second.address)
    for size in (3_000_000, 30_000_000):
        assert await engine.scan(bytes(size)) == Exceeded(ENGINE, "StreamMaxLength")
    assert await engine.scan(EICAR) == FOUND
    await engine.close()


async def test_a_clamd_that_is_silent_about_its_limits_is_warned_of(second: Clamd, clamd: Clamd) -> None:
    silent, loud = over(second.address), over(clamd.address)
    with capture_logs() as logs:
        await silent.scan(b"x")
        await loud.scan(b"x")
        while len(logs) < 2:
            await asyncio.sleep(0.01)
    assert {(entry["event"], entry["missing"], entry["daemon"]) for entry in logs} == {
        ("clamd-limits-silent", f"{setting} yes", second.address) for setting in proofs()
    }
    for engine in (silent, loud):
        await engine.close()


async def test_a_killed_clamd_is_replaced_by_the_other_and_asked_again_when_it_is_back(
    clamd: Clamd, second: Clamd
) -> None:
    engine = over(clamd.address, second.address)
    assert [await engine.scan(b"%d" % number) for number in range(4)] == [CLEAN] * 4
    clamd.kill()
    assert [await engine.scan(b"%d" % number) for number in range(8)] == [CLEAN] * 8
    assert await engine.scan(EICAR) == FOUND
    clamd.start()
    second.kill()
    try:
        assert await engine.scan(EICAR) == FOUND
    finally:
        second.start()
        await engine.close()


async def test_without_any_clamd_nothing_is_clean_and_with_one_again_it_is(clamd: Clamd) -> None:
    engine = over(clamd.address)
    assert await engine.scan(b"x") == CLEAN
    clamd.kill()
    for _ in range(3):
        with pytest.raises(EngineError):
            await engine.scan(b"x")
    clamd.start()
    assert await engine.scan(b"x") == CLEAN
    await engine.close()


async def test_scans_in_a_clamd_that_is_killed_are_done_by_the_other(clamd: Clamd, second: Clamd) -> None:
    engine = over(clamd.address, second.address)
    await asyncio.gather(*(engine.scan(b"%d" % number) for number in range(20)))
    with clamd.hanging():
        scans = [asyncio.create_task(engine.scan(os.urandom(50_000))) for _ in range(20)]
        await asyncio.sleep(0.05)  # not for an event: so that some wait in the one that hangs
        clamd.kill()
    assert await asyncio.gather(*scans) == [CLEAN] * 20
    await engine.close()


async def test_a_clamd_that_hangs_costs_its_messages_a_bounded_wait_and_later_ones_none(
    clamd: Clamd, second: Clamd
) -> None:
    engine = Antivirus([ClamdEngine(ClamdSettings(addresses=[clamd.address, second.address]), patience_s=0.5)])
    await asyncio.gather(*(engine.scan(b"%d" % number) for number in range(20)))
    with clamd.hanging():
        began = time.monotonic()
        assert await asyncio.gather(*(engine.scan(os.urandom(50_000)) for _ in range(20))) == [CLEAN] * 20
        assert time.monotonic() - began < 5.0
        began = time.monotonic()
        assert [await engine.scan(os.urandom(1000)) for _ in range(20)] == [CLEAN] * 20
        assert time.monotonic() - began < 5.0
    await engine.close()


async def test_a_clamd_that_hangs_alone_is_an_error_soon_for_those_who_come_later(clamd: Clamd) -> None:
    engine = over(clamd.address)
    await engine.scan(b"x")
    with clamd.hanging():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await engine.scan(b"y")
        with pytest.raises(EngineError, match="no sign of life"):
            async with asyncio.timeout(10):
                await engine.scan(b"z")
    assert await engine.scan(b"z") == CLEAN
    await engine.close()
