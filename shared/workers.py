"""Several worker processes of one service on one host, and their common health (I/O).

Owns: starting `count` processes, starting a dead one again, ending them all on SIGTERM or SIGINT, passing SIGHUP on to
services that reload, and serving the metrics and readiness of all on one port to those whom the policy admits.
Input: a function that is one worker; it gets its own arguments and a `Pulse`, with which it reports each second.
On failure: a worker that dies is started again after a second; one that does not end in time is killed.
"""

import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import SynchronizedArray
from typing import TypeAlias

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from shared.broker.in_force import POLICY_VERSION
from shared.health import HealthServer
from shared.lone_gate import LoneGate
from shared.settings import ServiceSettings

_log = structlog.get_logger()
_spawn = multiprocessing.get_context("spawn")
_RESTART_PAUSE_S = 1.0
_STALE_S = 5.0
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Of each worker: when it was last ready; 0 before its first report, negative while it is not ready.
Beats: TypeAlias = "SynchronizedArray[float]"  # a class that only types can subscript


@dataclass(frozen=True, slots=True)
class Pulse:
    """A worker's line to its parent. number: of the worker, from 0. parent: its process id."""

    beats: Beats
    number: int
    parent: int

    def beat(self, ready: bool) -> bool:
        """Report whether the worker can do its work; return whether the parent still lives."""
        self.beats[self.number] = time.monotonic() if ready else -1.0
        return os.getppid() == self.parent


def _nothing(_number: int) -> None:
    """Have nothing to do when a worker dies."""


@dataclass(frozen=True, slots=True)
class Crew:
    """What the workers of a service are. work: importable, called with `arguments(number)` and a `Pulse`.

    stop_s: what they may take to end. reloads: SIGHUP means something to them. on_death: called with the number of one
    that died before it is started again.
    """

    service: str
    count: int
    work: Callable[..., None]
    arguments: Callable[[int], tuple[object, ...]]
    stop_s: float
    reloads: bool = False
    on_death: Callable[[int], None] = _nothing


class Workers:
    """The parent of a host's workers."""

    def __init__(self, crew: Crew, settings: ServiceSettings) -> None:
        self._crew = crew
        self._settings = settings
        self._beats: Beats = _spawn.Array("d", crew.count)
        self._processes: dict[int, SpawnProcess] = {}

    async def run(self) -> None:
        """Run until a signal; return when all workers have ended. Raises OSError where health cannot be served."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if self._crew.reloads:
            loop.add_signal_handler(signal.SIGHUP, self._reload_all)
        folder = tempfile.mkdtemp(prefix=f"gatepost-{self._crew.service}-")
        # Before a worker starts, for its metrics look for this when they are imported.
        os.environ[_METRICS_VARIABLE] = folder
        lone = LoneGate(self._crew.service, self._settings)
        registry = _registry(folder)
        health = HealthServer(
            self._settings.health,
            {"workers": self._all_ready},
            registry,
            lone.gate,
            # Of the worker that is behind the others, for a stage runs what all of it runs.
            policy_version=lambda: int(registry.get_sample_value(POLICY_VERSION) or 0),
        )
        try:
            await health.start()
            await lone.start()
            keepers = [asyncio.create_task(self._keep(number, folder)) for number in range(self._crew.count)]
            await stop.wait()
            for keeper in keepers:
                keeper.cancel()
            await self._end_all()
        finally:
            await health.close()
            await lone.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _all_ready(self) -> bool:
        oldest = time.monotonic() - _STALE_S
        return all(self._beats[number] > max(oldest, 0) for number in range(self._crew.count))

    async def _keep(self, number: int, folder: str) -> None:
        crew = self._crew
        while True:
            self._beats[number] = 0.0
            process = _spawn.Process(
                target=crew.work,
                args=(*crew.arguments(number), Pulse(self._beats, number, os.getpid())),
                name=f"{crew.service}-{number}",
            )
            process.start()
            self._processes[number] = process
            await _ended(process)
            _log.error("worker-died", worker=number, exit_code=process.exitcode)
            # What it measured as of now holds no longer; what it counted stays.
            mark_process_dead(process.pid, folder)  # type: ignore[no-untyped-call]
            crew.on_death(number)
            await asyncio.sleep(_RESTART_PAUSE_S)

    def _reload_all(self) -> None:
        for number, process in self._processes.items():
            # Before its first report it has no ear for the signal, which would end it; what it reads then is fresh.
            if self._beats[number] and process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGHUP)

    async def _end_all(self) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        try:
            async with asyncio.timeout(self._crew.stop_s):
                await asyncio.gather(*(_ended(process) for process in self._processes.values()))
        except TimeoutError:
            _log.warning("workers-killed")
            for process in self._processes.values():
                process.kill()


def _registry(folder: str) -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return registry


async def _ended(process: SpawnProcess) -> None:
    """Wait until a process has ended, without a thread."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(process.sentinel, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()
