"""The edge as a process of its own: start, memory, end."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from infra.local.layout import REPOSITORY
from infra.local.ports import free_ports
from tests.integration.edge.gate import POLICY, Client
from tests.integration.edge.test_broker import administer
from tests.rabbit import Rabbit
from tests.redis import RedisServer


@dataclass
class Process:
    """A running edge."""

    process: asyncio.subprocess.Process
    port: int
    health: int
    log_file: Path

    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def get(self, path: str) -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.health)
        except OSError:
            return ""
        writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.decode()

    async def until_ready(self) -> None:
        async with asyncio.timeout(30):
            while "200 OK" not in await self.get("/readyz"):
                await asyncio.sleep(0.05)

    @property
    def peak_bytes(self) -> int:
        """The most memory it ever had."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")


async def start(
    settings: Path, log: IO[bytes] | int, python: str = sys.executable, places: Sequence[str] = sys.path
) -> asyncio.subprocess.Process:
    """Start an edge. log: for its standard error. places: where Python finds modules."""
    return await asyncio.create_subprocess_exec(
        python,
        *("-m", "services.edge"),
        env={"GATEPOST_SETTINGS_FILE": str(settings), "PYTHONPATH": ":".join(places), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=REPOSITORY,
        stderr=log,
    )


@contextlib.asynccontextmanager
async def process(
    rabbit: Rabbit,
    certificate: Path,
    folder: Path,
    extra: str = "",
    *,
    listener: str = "",
    redis: RedisServer | None = None,
    workers: int = 1,
) -> AsyncIterator[Process]:
    port, health = free_ports(2)
    settings = rabbit.settings("edge")
    path = folder / "edge.toml"
    path.write_text(
        f'hostname = "gate.test"\nallow_root_on_loopback = true\nworkers = {workers}\n'
        f'[broker]\nport = {settings.port}\nuser = "edge"\npassword = "{settings.password.get_secret_value()}"\n'
        f"[health]\nport = {health}\n"
        f'[listeners.mx]\nport = {port}\ncertificate_file = "{certificate}"\nkey_file = "{certificate}"\n'
        + (f"[redis]\nport = {redis.port}\n" if redis else "")
    )
    path.chmod(0o600)
    with (folder / "edge.log").open("wb") as log:
        started = await start(path, log)
    try:
        running = Process(started, port, health, folder / "edge.log")
        await administer(
            rabbit, (POLICY.replace('[listeners.mx]\npurpose = "inbound"\n', listener) if listener else POLICY) + extra
        )
        await running.until_ready()
        yield running
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_sigterm_finishes_what_is_under_way_and_exits_0(
    rabbit: Rabbit, certificate: Path, tmp_path: Path
) -> None:
    async with process(rabbit, certificate, tmp_path) as edge, edge.client() as busy, edge.client() as idle:
        await idle.hello()
        await busy.begin()
        await busy.say("DATA")
        edge.process.send_signal(signal.SIGTERM)
        assert (await idle.reply()).startswith("421 4.3.2")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", edge.port)
        await busy.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
        assert (await busy.reply()).startswith("250 2.0.0 queued as ")
        assert (await busy.reply()).startswith("421 4.3.2")
        async with asyncio.timeout(15):
            assert await edge.process.wait() == 0


async def test_metrics_are_served(rabbit: Rabbit, certificate: Path, tmp_path: Path) -> None:
    async with process(rabbit, certificate, tmp_path) as edge, edge.client() as client:
        await client.mail(b"x\r\n")
        await client.say("WHAT")
        metrics = await edge.get("/metrics")
    assert 'gatepost_edge_sessions_total{listener="mx"} 1.0' in metrics


async def test_settings_that_are_wrong_end_it_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text('hostname = "x"\nwrong = 1\n')
    path.chmod(0o600)
    started = await start(path, asyncio.subprocess.PIPE)
    _, words = await started.communicate()
    assert started.returncode == 1
    assert b"wrong: unknown key" in words


async def test_a_rewriting_secret_that_could_be_guessed_ends_it_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(
        'hostname = "mx.test"\nrewriting_secrets = ["a secret of sixteen", "short"]\nallow_root_on_loopback = true\n'
        '[broker]\nuser = "edge"\npassword = "x"\n[health]\nport = 0\n[listeners.mx]\nport = 0\n'
    )
    path.chmod(0o600)
    started = await start(path, asyncio.subprocess.PIPE)
    _, words = await started.communicate()
    assert started.returncode == 1
    assert b"rewriting_secrets: number 2 has fewer than 16 octets" in words


async def test_20_messages_of_25_mb_at_once_stay_under_400_mb(
    rabbit: Rabbit, certificate: Path, tmp_path: Path
) -> None:
    async with process(rabbit, certificate, tmp_path) as edge:

        async def send(line: bytes) -> str:
            async with edge.client() as client:
                await client.begin()
                if not (await client.say("DATA")).startswith("354"):
                    return "no 354"
                for _ in range(250):
                    await client.send(line * 1280)
                await client.send(b".\r\n")
                return await client.reply()

        replies = await asyncio.gather(*(send(bytes([65 + number]) * 76 + b"\r\n") for number in range(20)))
        codes = sorted(reply[:9] for reply in replies)
        assert set(codes) <= {"250 2.0.0", "452 4.3.1", "451 4.3.0"}
        assert "250 2.0.0" in codes
        assert edge.peak_bytes < 400_000_000
        # It goes on as before.
        async with edge.client() as client:
            assert (await client.mail(b"x\r\n")).startswith("250")
