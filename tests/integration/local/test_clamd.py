"""The private clamd of `make run` and the tests."""

import asyncio
import struct
from pathlib import Path

import pytest

from infra.local.clamd import ClamdSettings
from tests.clamd import EICAR, SIGNATURE_NAME, Clamd


async def scan(port: int, data: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"zINSTREAM\0" + struct.pack("!I", len(data)) + data + struct.pack("!I", 0))
        return (await reader.readuntil(b"\0")).rstrip(b"\0").decode()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_it_finds_eicar(clamd: Clamd) -> None:
    assert SIGNATURE_NAME in await scan(clamd.port, EICAR)


async def test_it_says_ok_to_plain_text(clamd: Clamd) -> None:
    assert await scan(clamd.port, b"hello") == "stream: OK"


async def test_the_largest_message_is_scanned_whole(clamd: Clamd) -> None:
    # Policy's largest size; the virus stands at its end.
    assert "FOUND" in await scan(clamd.port, b"x" * 104_857_000 + EICAR)


async def test_it_comes_up_again_after_a_kill(clamd: Clamd) -> None:
    clamd.kill()
    with pytest.raises(ConnectionError):
        await scan(clamd.port, b"hello")
    clamd.start()
    assert await scan(clamd.port, b"hello") == "stream: OK"


@pytest.mark.parametrize(
    ("files", "full"),
    [
        ((), False),
        (("main.cvd",), False),
        (("daily.cld", "bytecode.cvd"), False),
        (("main.cvd", "daily.cld"), True),
    ],
)
def test_a_database_is_complete_with_main_and_daily(tmp_path: Path, files: tuple[str, ...], full: bool) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert ClamdSettings(port=1, database=tmp_path).has_full_database is full
