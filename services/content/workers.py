"""The worker processes of one content host, and their common health (I/O).

Owns: starting `workers` processes, starting a dead one again, ending them all on SIGTERM or SIGINT, and serving their
metrics and readiness on one port. On failure: a worker that dies is started again after a second; its messages went
back to their queue.
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
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import SynchronizedArray
from typing import TypeAlias

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from services.content.settings import ContentSettings
from shared.health import HealthServer
from shared.logs import configure_logs

_log = structlog.get_logger()
_spawn = multiprocessing.get_context("spawn")
_RESTART_PAUSE_S = 1.0
_STALE_S = 5.0
_STOP_S = 25.0
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
Beats: TypeAlias = "SynchronizedArray[float]"  # a class that only types can subscript


class Workers:
    """The parent of a host's workers."""

    def __init__(self, settings: ContentSettings) -> None:
        self._settings = settings
        self._beats: Beats = _spawn.Array("d", settings.workers)
        self._processes: dict[int, SpawnProcess] = {}

    async def run(self) -> None:
        """Run until a signal; return when all workers have ended."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        folder = tempfile.mkdtemp(prefix="gatepost-content-")
        os.environ[_METRICS_VARIABLE] = folder
        health = HealthServer(self._settings.health, {"workers": self._all_ready}, _registry(folder))
        try:
            await health.start()
            keepers = [asyncio.create_task(self._keep(number)) for number in range(self._settings.workers)]
            await stop.wait()
            for keeper in keepers:
                keeper.cancel()
            await self._end_all()
        finally:
            await health.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _all_ready(self) -> bool:
        now = time.monotonic()
        return all(now - self._beats[number] < _STALE_S for number in range(self._settings.workers))

    async def _keep(self, number: int) -> None:
        while True:
            process = _spawn.Process(
                target=run_worker, args=(self._settings, number, self._beats, os.getpid()), name=f"content-{number}"
            )
            process.start()
            self._processes[number] = process
            await _ended(process)
            _log.error("worker-died", worker=number, exit_code=process.exitcode)
            await asyncio.sleep(_RESTART_PAUSE_S)

    async def _end_all(self) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
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


def run_worker(settings: ContentSettings, number: int, beats: Beats, parent: int) -> None:
    """Be one worker process; ends when told, or when its parent is gone."""
    # Here, not at the top: the worker's metrics must see the environment variable that the parent set.
    import uvloop  # noqa: PLC0415

    from services.content.app import ContentWorker  # noqa: PLC0415

    configure_logs("content", settings.log)
    structlog.contextvars.bind_contextvars(worker=number)

    async def work() -> None:
        stop = asyncio.Event()
        # Ctrl-C reaches the whole foreground group; the parent tells the workers in its own time.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

        def on_ready(ready: bool) -> None:
            beats[number] = time.monotonic() if ready else 0.0
            if os.getppid() != parent:
                stop.set()

        await ContentWorker(settings, on_ready).run(stop)

    uvloop.run(work())
