"""As whom the edge serves: root is given up, or nothing is served."""

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from infra.local.layout import REPOSITORY
from infra.local.ports import free_ports
from infra.local.run_as import USER, others_can_enter, others_can_read
from tests.certificates import signed, written
from tests.integration.edge.gate import Client
from tests.integration.edge.test_broker import administer
from tests.integration.edge.test_process import Process, start
from tests.rabbit import Rabbit

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be given up")

_POLICY = '[domains."ours.test"]\nrecipients = ["bob"]\nroute = "maildir:mail"\n'
_MX = '[listeners.mx]\npurpose = "inbound"\n'
_OTHER = '[listeners.other]\npurpose = "inbound"\n'
# Root's own Python may lie where nobody else can read it; the system's has the same modules then.
_PLACES = (str(REPOSITORY), str(Path(structlog.__file__).parents[1]))
_ADDRESS = "127.0.0.77"


def common_python() -> str | None:
    """Return a Python of our version that every user can run with our modules."""
    if not (others_can_enter(REPOSITORY) and others_can_read(Path(structlog.__file__))):
        return None
    for python, library in ((sys.executable, os.__file__), ("/usr/bin/python3", "/usr/bin/python3")):
        if Path(python).exists() and others_can_read(Path(python)) and others_can_read(Path(library)):
            asked = subprocess.run(
                [python, "-c", "import sys; print(sys.version_info[:2])"], check=True, stdout=subprocess.PIPE
            )
            if asked.stdout.decode().strip() == str(sys.version_info[:2]):
                return python
    return None


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are for root alone."""
    made = Path(tempfile.mkdtemp(prefix="gatepost-rights-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def free_low_port() -> int:
    for port in range(1023, 700, -1):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((_ADDRESS, port))
            return port
    raise AssertionError("no free low port")


@dataclass
class Rights:
    """A process's users, groups and capabilities, from /proc."""

    uids: set[int]
    gids: set[int]
    groups: set[int]
    capabilities: int
    no_new_privileges: bool


def rights_of(pid: int) -> Rights:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)

    def numbers(name: str) -> set[int]:
        return {int(word) for word in lines[name].split()}

    return Rights(
        numbers("Uid"),
        numbers("Gid"),
        numbers("Groups"),
        int(lines["CapEff"], 16) | int(lines["CapPrm"], 16) | int(lines["CapAmb"], 16),
        lines["NoNewPrivs"].strip() == "1",
    )


def settings(
    folder: Path, first: str, broker: str = 'user = "edge"\npassword = "x"\nport = 1\n', port: int = 0
) -> Path:
    path = folder / "edge.toml"
    path.touch(mode=0o600)
    [health] = free_ports(1)
    path.write_text(
        f'hostname = "gate.test"\n{first}\n[broker]\n{broker}[health]\nport = {health}\n'
        f'[listeners.mx]\naddress = "{_ADDRESS}"\nport = {port}\n'
        f'certificate_file = "{folder}/mx.pem"\nkey_file = "{folder}/mx.pem"\n[listeners.other]\nport = 0\n'
    )
    return path


async def words_of_a_failed_start(path: Path, python: str = sys.executable) -> str:
    started = await start(path, asyncio.subprocess.PIPE, python, sys.path if python == sys.executable else _PLACES)
    async with asyncio.timeout(20):
        _, words = await started.communicate()
    assert started.returncode == 1
    return words.decode()


async def test_root_is_not_served_as(folder: Path) -> None:
    written(folder / "mx.pem", signed("mx"))
    assert "does not serve as root: set run_as" in await words_of_a_failed_start(settings(folder, ""))


async def test_root_on_loopback_ends_where_anybody_else_is_served(folder: Path) -> None:
    written(folder / "mx.pem", signed("mx"))
    path = settings(folder, "allow_root_on_loopback = true")
    path.write_text(path.read_text().replace(_ADDRESS, "0.0.0.0"))
    assert "does not serve as root at 0.0.0.0" in await words_of_a_failed_start(path)


@pytest.mark.parametrize("user", ["root", "nobody:root", "no-such-user", "nobody:no-such-group"])
async def test_a_user_who_is_root_or_does_not_exist_is_refused(folder: Path, user: str) -> None:
    written(folder / "mx.pem", signed("mx"))
    assert "run_as: " in await words_of_a_failed_start(settings(folder, f'run_as = "{user}"'))


async def test_a_key_that_the_user_cannot_read_is_told_at_the_start(folder: Path) -> None:
    if (python := common_python()) is None:
        pytest.skip("no Python that every user can run")
    written(folder / "mx.pem", signed("mx")).chmod(0o600)
    words = await words_of_a_failed_start(settings(folder, f'run_as = "{USER}"'), python)
    assert f"listeners.mx: {folder}/mx.pem: Permission denied" in words


@contextlib.asynccontextmanager
async def low_port_edge(rabbit: Rabbit, folder: Path) -> AsyncIterator[tuple[Process, int]]:
    python = common_python()
    if python is None:
        pytest.skip("no Python that every user can run")
    certificate = written(folder / "mx.pem", signed("mx"))
    certificate.chmod(0o600)
    os.chown(certificate, pwd.getpwnam(USER).pw_uid, -1)
    broker, port = rabbit.settings("edge"), free_low_port()
    login = f'port = {broker.port}\nuser = "edge"\npassword = "{broker.password.get_secret_value()}"\n'
    path = settings(folder, f'run_as = "{USER}"', login, port)
    health = int(path.read_text().partition("[health]\nport = ")[2].partition("\n")[0])
    with (folder / "edge.log").open("wb") as log:
        started = await start(path, log, python, _PLACES)
    running = Process(started, port, health, folder / "edge.log")
    try:
        await administer(rabbit, _POLICY + _MX + _OTHER)
        await running.until_ready()
        yield running, port
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def greeting(port: int) -> str:
    reader, writer = await asyncio.open_connection(_ADDRESS, port)
    try:
        return await Client(reader, writer).reply()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_low_port_is_bound_and_root_given_up_for_good(rabbit: Rabbit, folder: Path) -> None:
    async with low_port_edge(rabbit, folder) as (edge, port):
        assert (await greeting(port)).startswith("220 ")
        user = pwd.getpwnam(USER)
        rights = rights_of(edge.process.pid)
        assert rights == Rights({user.pw_uid}, {user.pw_gid}, {user.pw_gid}, 0, no_new_privileges=True)
        core = next(
            line for line in Path(f"/proc/{edge.process.pid}/limits").read_text().splitlines() if "core" in line
        )
        assert core.split()[4:6] == ["0", "0"]
        # A policy without the listener closes it, and a later one opens it again, though no right to bind is left.
        await administer(rabbit, _POLICY + _OTHER, 2)
        await until_refused(port)
        await administer(rabbit, _POLICY + _MX + _OTHER, 3)
        await until_greeted(port)


async def until_refused(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await greeting(port)
            except ConnectionRefusedError:
                return
            except ConnectionError:
                pass
            await asyncio.sleep(0.02)


async def until_greeted(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(ConnectionError):
                if (await greeting(port)).startswith("220 "):
                    return
            await asyncio.sleep(0.02)
