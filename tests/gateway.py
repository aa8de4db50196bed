"""A whole gateway for tests: the four services as processes of their own, on a real RabbitMQ and a real clamd.

    gateway = Gateway(folder, rabbit, clamd, nameserver="127.0.0.1:5300")     # rspamd=…: with an antispam engine, too
    await gateway.open({"sink.test": "smtp://127.0.0.1:2626"})       # publishes a policy, starts all, waits until ready
    await gateway.kill("content"); await gateway.start("content"); await gateway.ready()
    assert await gateway.stop("edge") == 0                            # SIGTERM
    await gateway.close()

Owns: settings files, the policy's publishing, processes, what /proc and the metrics say of them, and when all queues are
empty. On failure: GatewayFailed with the end of the log of the service at fault.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.ports import free_ports
from services.console.actions.desk import open_desk
from services.console.actions.policies import apply_policy
from services.console.identity.rights import on_this_host
from services.console.management import ManagementError, management
from services.console.settings import ConsoleSettings
from shared.broker.topology import Queue
from shared.event import EventKind
from shared.settings import FILE_VARIABLE, BrokerSettings, load_settings
from tests.clamd import Clamd
from tests.rabbit import Rabbit, in_thread
from tests.rspamd import Rspamd

SERVICES = ("console", "delivery", "content", "edge")
_ROOT = Path(__file__).parents[1]
_READY_S = 60.0
_STOP_S = 60.0
_POLL_S = 0.1
# A quorum queue tells its length every five seconds: only zeros over a longer time mean anything.
_EMPTY_FOR_S = 7.0
_PASSED_THROUGH = ("gatepost.content", "gatepost.delivery", Queue.QUARANTINE.value, Queue.EVENTS.value)
_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE)


class GatewayFailed(Exception):
    """A service that did not start, or did not get ready."""


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    log: Path


class Gateway:
    """The services of one machine, each of which can be killed, stopped and started."""

    def __init__(
        self,
        folder: Path,
        rabbit: Rabbit,
        clamd: Clamd,
        nameserver: str,
        rspamd: Rspamd | None = None,
        engines: str = "",
    ) -> None:
        self.rabbit = rabbit
        self.clamd = clamd
        self.rspamd = rspamd
        # Tables of content's settings, in place of those that name clamd and Rspamd.
        self._engines = engines or self._clamd_and_rspamd
        self._folder = folder
        self._nameserver = nameserver
        self.port, *health = free_ports(1 + len(SERVICES))
        self._health = dict(zip(SERVICES, health, strict=True))
        self._running: dict[str, _Running] = {}
        # How many messages the content stage holds at a time, of all its workers.
        self.content_holds = 0

    # ---- the whole

    async def open(
        self, routes: Mapping[str, str], limits: str = "", *, content_workers: int = 2, prefetch: int = 20
    ) -> None:
        """Start everything and return when mail can flow. routes: by domain. limits: lines of the policy's table."""
        self.content_holds = content_workers * prefetch
        self._write_settings(content_workers, prefetch)
        await asyncio.to_thread(in_thread, self._publish_policy(_policy(routes, limits)))
        for service in SERVICES:
            await self.start(service)
        await self.ready()
        # Until edge has heard of content it may answer without a verdict, and the mail is judged afterwards.
        await self.reaches("edge", "gatepost_edge_content_processes", 1)

    async def close(self) -> None:
        """Kill whatever still runs."""
        for service in list(self._running):
            await self.kill(service)

    async def ready(self, deadline_s: float = _READY_S) -> float:
        """Wait until every service says that it is ready; return how many seconds that took."""
        began = time.monotonic()
        missing = "nothing"
        while time.monotonic() - began < deadline_s:
            states = [await self._readiness(service) for service in SERVICES]
            waits = [f"{name}: {state}" for name, state in zip(SERVICES, states, strict=True) if state != "ready"]
            if not waits:
                return time.monotonic() - began
            missing = "; ".join(waits)
            await asyncio.sleep(_POLL_S)
        raise GatewayFailed(f"not ready after {deadline_s:.0f} s: {missing}")

    async def drained(self, deadline_s: float = 180) -> None:
        """Wait until every queue that mail passes through, retries too, has been empty for a while."""
        give_up_at = time.monotonic() + deadline_s
        empty_since: float | None = None
        while empty_since is None or time.monotonic() - empty_since < _EMPTY_FOR_S:
            lengths = await asyncio.to_thread(self.queue_lengths)
            waiting = {name: count for name, count in lengths.items() if count and name.startswith(_PASSED_THROUGH)}
            empty_since = None if waiting else empty_since or time.monotonic()
            if time.monotonic() > give_up_at:
                raise GatewayFailed(f"queues not empty after {deadline_s:.0f} s: {waiting}")
            await asyncio.sleep(0.5)

    def queue_lengths(self) -> dict[str, int]:
        """Return the messages in each queue, ready and unacknowledged, as the broker last counted them."""
        with contextlib.suppress(ManagementError), management(self.rabbit.management_url, self._admin) as broker:
            path = ("queues", broker.vhost)
            return {queue["name"]: queue.get("messages", 1) for queue in json.loads(broker.get(*path))}
        return {"gatepost.content": -1}

    # ---- one service

    async def start(self, service: str) -> None:
        """Start a service, without waiting for it."""
        log = self._folder / f"{service}.log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                cwd=_ROOT,
                env=environ | {FILE_VARIABLE: str(self._settings_file(service))},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[service] = _Running(process, log)

    async def kill(self, service: str) -> None:
        """Kill all processes of a service at once (kill -9)."""
        running = self._running.pop(service)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        await asyncio.to_thread(running.process.wait)

    async def orphan(self, service: str, deadline_s: float = _STOP_S) -> None:
        """Kill a service's first process alone, and wait until the others have ended by themselves."""
        first, *others = self.pids(service)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(deadline_s):
            while any(_command_line(pid) for pid in others):
                await asyncio.sleep(_POLL_S)
        await self.kill(service)

    @contextlib.contextmanager
    def paused(self, service: str) -> Iterator[None]:
        """Hold a service's working processes still (SIGSTOP) for the length of a `with`."""
        pids = self.workers(service)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    async def reaches(self, service: str, name: str, value: float, deadline_s: float = 30) -> None:
        """Wait until a metric has a value, or more."""
        async with asyncio.timeout(deadline_s):
            while await self.metric(service, name) < value:
                await asyncio.sleep(_POLL_S)

    async def stop(self, service: str) -> int:
        """Tell a service to end (SIGTERM) and return its exit code; what is then left of it is killed."""
        running = self._running[service]
        running.process.terminate()
        try:
            return await asyncio.to_thread(running.process.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            raise GatewayFailed(f"{service} did not end:\n{self.log_end(service)}") from None
        finally:
            await self.kill(service)

    def pids(self, service: str) -> list[int]:
        """Return a service's processes, the first started one first."""
        return _tree(self._running[service].process.pid)

    def workers(self, service: str) -> list[int]:
        """Return the processes that work on mail: content's children, or the service itself."""
        pids = self.pids(service)
        return [pid for pid in pids if "spawn_main" in _command_line(pid)] or pids[:1]

    def helpers(self) -> list[int]:
        """Return the processes that examine heavy messages for content's workers."""
        return [pid for pid in self.pids("content") if "isolation.worker" in _command_line(pid)]

    def peak_mib(self, service: str) -> list[float]:
        """Return the highest resident memory of each working process, in MiB."""
        return [_status_kib(pid, "VmHWM") / 1024 for pid in self.workers(service)]

    def log_end(self, service: str, lines: int = 30) -> str:
        """Return the end of a service's log."""
        path = self._folder / f"{service}.log"
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:]) if path.exists() else "(no log)"

    async def metric(self, service: str, name: str) -> float:
        """Return the sum of a metric's samples, over all labels."""
        _, body = await self._get(service, "/metrics")
        found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", body, re.MULTILINE)
        return sum(float(value) for value in found)

    def quarantined(self) -> set[str]:
        """Return the Message-IDs of what the recorder has stored in quarantine."""
        bodies = self._select("SELECT message FROM quarantine")
        return {found[1].decode() for body in bodies if (found := _MESSAGE_ID.search(body))}

    def recorded(self, kind: EventKind) -> int:
        """Return of how many ids the recorder knows an event of a kind."""
        (count,) = self._select("SELECT COUNT(DISTINCT id) FROM events WHERE kind = ?", kind.value)
        return int(count)

    # ---- inner parts

    def _select(self, statement: str, *values: str) -> list[Any]:
        database = sqlite3.connect(f"file:{self._folder / 'console.sqlite'}?mode=ro", uri=True)
        with contextlib.closing(database):
            return [row[0] for row in database.execute(statement, values)]

    async def _readiness(self, service: str) -> str:
        running = self._running.get(service)
        if running is not None and running.process.poll() is not None:
            code = running.process.returncode
            raise GatewayFailed(f"{service} ended with {code}:\n{self.log_end(service)}")
        try:
            status, body = await self._get(service, "/readyz")
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        return "ready" if status == 200 else body.strip()

    async def _get(self, service: str, path: str) -> tuple[int, str]:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._health[service])
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            finally:
                writer.close()
        if not head:
            raise ConnectionResetError("no answer")
        return int(head.split(" ", 2)[1]), body

    @property
    def _admin(self) -> BrokerSettings:
        return self.rabbit.settings("admin")

    def _settings_file(self, service: str) -> Path:
        return self._folder / f"{service}.toml"

    def _write_settings(self, content_workers: int, prefetch: int) -> None:
        own = {
            "edge": f'[listeners.mx]\naddress = "127.0.0.1"\nport = {self.port}\n',
            "content": self._engines,
            "delivery": "",
            "console": f'[database]\nurl = "sqlite:///{self._folder / "console.sqlite"}"\n',
        }
        first = {
            "edge": "allow_root_on_loopback = true\n",
            "content": f"workers = {content_workers}\nprefetch = {prefetch}\n",
            "delivery": f'data_dir = "{self._folder}"\n',
        }
        for service in SERVICES:
            path = self._settings_file(service)
            path.touch(mode=0o600)
            path.write_text(first.get(service, "") + self._common(service) + own[service], "utf-8")

    @property
    def _clamd_and_rspamd(self) -> str:
        clamd = f'[clamd]\naddresses = ["127.0.0.1:{self.clamd.port}"]\n'
        if self.rspamd is None:
            return f'{clamd}[antispam]\nengine = "none"\n'
        return f'{clamd}[antispam]\naddresses = ["127.0.0.1:{self.rspamd.port}"]\n'

    def _common(self, service: str) -> str:
        broker = self.rabbit.settings(service)
        return (
            f'hostname = "gatepost.test"\n[broker]\nport = {broker.port}\nuser = "{service}"\n'
            f'password = "{broker.password.get_secret_value()}"\n'
            f"[health]\nport = {self._health[service]}\n"
            f'[dns]\nnameservers = ["{self._nameserver}"]\n'
        )

    async def _publish_policy(self, text: str) -> None:
        settings = load_settings(ConsoleSettings, self._settings_file("console"), {})
        async with open_desk(settings, on_this_host("a test")) as desk:
            await apply_policy(desk, text, "a test")


def _policy(routes: Mapping[str, str], limits: str) -> str:
    domains = [f'[domains."{domain}"]\nrecipients = "any"\nroute = "{route}"\n' for domain, route in routes.items()]
    # A load client keeps a connection for as many messages as it likes.
    return (
        f'[listeners.mx]\npurpose = "inbound"\n[limits]\ncommands = 1000000\nmessages = 1000000\n{limits}\n'
        + "".join(domains)
    )


def _tree(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(other for child in children for other in _tree(int(child)))]
    return []


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    return ""


def _status_kib(pid: int, key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
