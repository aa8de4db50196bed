"""Several worker processes behind one set of addresses, and their parent."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.certificates import der, signed, written
from tests.integration.edge.gate import Client, trusting
from tests.integration.edge.test_process import Process, process, start
from tests.rabbit import Rabbit
from tests.redis import RedisServer

_WORKERS = 2


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def edge(rabbit: Rabbit, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Process]:
    written(tmp_path / "mx.pem", signed("first"))
    async with process(rabbit, tmp_path / "mx.pem", tmp_path, redis=redis, workers=_WORKERS) as running:
        yield running


def children(edge: Process) -> list[int]:
    """Return the workers' process ids; multiprocessing's own helper is none of them."""
    pid = edge.process.pid
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextlib.asynccontextmanager
async def clients(edge: Process, count: int) -> AsyncIterator[list[Client]]:
    """Give so many clients that have said hello."""
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(edge.client()) for _ in range(count)]
        for client in made:
            await client.hello()
        yield made


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(20):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.02)


async def shown(edge: Process) -> bytes:
    async with edge.client() as client:
        await client.hello()
        assert (await client.say("STARTTLS")).startswith("220")
        await client.writer.start_tls(trusting())
        found = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(found, bytes)
        return found


async def test_workers_share_a_port_and_all_of_them_answer(edge: Process) -> None:
    workers = children(edge)
    assert len(workers) == _WORKERS
    before = {pid: open_files(pid) for pid in workers}
    async with clients(edge, 40):
        # The kernel spreads connections by their addresses: of 40, none gets all but once in 10^11 times.
        assert all(open_files(pid) > before[pid] for pid in workers)
        # What is so now is one number for all of them, too.
        async with asyncio.timeout(5):
            while "\ngatepost_edge_open_sessions 40.0\n" not in await edge.get("/metrics"):
                await asyncio.sleep(0.05)
    assert 'gatepost_edge_sessions_total{listener="mx"} 40.0' in await edge.get("/metrics")


async def test_sigterm_drains_all_workers(edge: Process) -> None:
    workers = children(edge)
    async with clients(edge, 12) as made:
        for client in made:
            await client.say("MAIL FROM:<x@away.test>")
            await client.say("RCPT TO:<bob@ours.test>")
            assert (await client.say("DATA")).startswith("354")
        edge.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            while await refuses(edge) is False:
                await asyncio.sleep(0.02)
        for client in made:
            await client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            assert (await client.reply()).startswith("250 2.0.0 queued as ")
            assert (await client.reply()).startswith("421 4.3.2")
        async with asyncio.timeout(15):
            assert await edge.process.wait() == 0
    await until_gone(workers)


async def refuses(edge: Process) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return False


async def test_a_killed_worker_loses_nobody_elses_connections_and_comes_back(edge: Process) -> None:
    first, *others = children(edge)
    os.kill(first, signal.SIGKILL)
    await until_gone([first])
    # Its share goes to the others as soon as the parent knows; nobody waits for its return.
    async with asyncio.timeout(10):
        while len(children(edge)) < _WORKERS:
            with contextlib.suppress(ConnectionError):
                async with edge.client() as client:
                    # Nothing, where the dead one's socket still took the connection.
                    assert (await client.reply())[:4] in ("220 ", "")
            await asyncio.sleep(0.05)
    await edge.until_ready()
    assert set(others) < set(children(edge))
    async with clients(edge, 20):
        pass


async def test_sighup_has_all_workers_read_the_certificates_again(edge: Process, tmp_path: Path) -> None:
    new = signed("second")
    written(tmp_path / "mx.pem", new)
    edge.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(10):
        while {await shown(edge) for _ in range(12)} != {der(new)}:
            await asyncio.sleep(0.05)
    assert edge.process.returncode is None
    assert "certificates-reloaded" in edge.log()


async def test_workers_without_their_parent_end(edge: Process) -> None:
    workers = children(edge)
    edge.process.kill()
    await edge.process.wait()
    await until_gone(workers)


async def test_workers_that_would_count_alone_are_refused(rabbit: Rabbit, certificate: Path, tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.touch(mode=0o600)
    path.write_text(
        'hostname = "gate.test"\nworkers = 2\n[broker]\nuser = "edge"\npassword = "x"\n[health]\nport = 0\n'
        "[listeners.mx]\nport = 0\n"
    )
    started = await start(path, asyncio.subprocess.PIPE)
    _, words = await started.communicate()
    assert started.returncode == 1
    assert b"workers > 1 needs [redis]" in words


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_address_that_another_serves_is_not_shared_with_it(
    edge: Process, redis: RedisServer, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "second.toml"
    path.touch(mode=0o600)
    path.write_text(
        f'hostname = "gate.test"\nworkers = {workers}\nallow_root_on_loopback = true\n'
        '[broker]\nuser = "edge"\npassword = "x"\n[health]\nport = 0\n'
        f"[redis]\nport = {redis.port}\n[listeners.mx]\nport = {edge.port}\n"
    )
    started = await start(path, asyncio.subprocess.PIPE)
    _, words = await started.communicate()
    assert started.returncode == 1
    assert f"listeners.mx: 127.0.0.1 port {edge.port}: Address already in use".encode() in words


async def test_one_process_reads_changed_certificates_without_being_told(rabbit: Rabbit, tmp_path: Path) -> None:
    written(tmp_path / "mx.pem", signed("first"))
    async with process(rabbit, tmp_path / "mx.pem", tmp_path) as edge:
        new = signed("second")
        written(tmp_path / "mx.pem", new)
        async with asyncio.timeout(10):
            while await shown(edge) != der(new):
                await asyncio.sleep(0.05)
        # And SIGHUP does not end it.
        edge.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while edge.log().count("certificates-reloaded") < 2:
                await asyncio.sleep(0.02)
        assert await shown(edge) == der(new)
