"""All antivirus engines of a content host, asked side by side (I/O through the engines).

Owns: `Antivirus`. Input: message bytes. Output: the gravest `ScanResult`; clean only if each engine says so.
On failure: EngineError where one of them gave no answer, unless another found malware.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from prometheus_client import Counter

from services.content.engines.clamd import ClamdEngine
from services.content.engines.icap import IcapEngine
from services.content.engines.sample import Sample
from services.content.engines.scan import EngineError, Infected, ScanResult, gravest
from services.content.settings import ClamdSettings, IcapSettings

_results = Counter(
    "gatepost_content_antivirus_results_total", "Answers of antivirus engines; error: none", ["engine", "result"]
)
# An engine that is still at it when another has found malware may end its work: breaking it off would look like its
# failure. Nobody waits for it.
_LATE_S = 12.0


class Engine(Protocol):
    """An antivirus engine. name: for people."""

    name: str

    async def scan(self, sample: Sample) -> ScanResult:
        """Return the engine's word on a message. Raises EngineError."""

    async def close(self) -> None:
        """End all connections."""


class Antivirus:
    """The antivirus engines of one worker."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = tuple(engines)
        self._late: set[asyncio.Task[ScanResult | EngineError]] = set()

    async def scan(self, data: bytes) -> ScanResult:
        """Return what the engines say of a message. Raises EngineError; bound it with `asyncio.timeout`."""
        sample = Sample(data)
        if len(self._engines) == 1:
            return _certain([await _asked(self._engines[0], sample)])
        return await self._side_by_side(sample)

    async def close(self) -> None:
        """End all connections."""
        for task in self._late:
            task.cancel()
        for engine in self._engines:
            await engine.close()

    async def _side_by_side(self, sample: Sample) -> ScanResult:
        tasks = [asyncio.create_task(_in_time(engine, sample)) for engine in self._engines]
        waiting = set(tasks)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answer = task.result()
                    if isinstance(answer, Infected):
                        self._leave(waiting)
                        return answer
        except asyncio.CancelledError:
            for task in waiting:
                task.cancel()
            raise
        return _certain([task.result() for task in tasks])

    def _leave(self, tasks: set["asyncio.Task[ScanResult | EngineError]"]) -> None:
        for task in tasks:
            self._late.add(task)
            task.add_done_callback(self._late.discard)


def open_antivirus(clamd: ClamdSettings, icap: IcapSettings) -> Antivirus:
    """Return the engines that the settings name. Raises ValueError for an address that is none."""
    engines: list[Engine] = [ClamdEngine(clamd)]
    if icap.url:
        engines.append(IcapEngine(icap, cache_entries=clamd.cache_entries))
    return Antivirus(engines)


async def _in_time(engine: Engine, sample: Sample) -> ScanResult | EngineError:
    try:
        async with asyncio.timeout(_LATE_S):
            return await _asked(engine, sample)
    except TimeoutError:
        return EngineError(f"{engine.name} gave no answer in time")


async def _asked(engine: Engine, sample: Sample) -> ScanResult | EngineError:
    word = "error"
    try:
        result = await engine.scan(sample)
        word = type(result).__name__.lower()
    except EngineError as error:
        return error
    finally:
        _results.labels(engine.name, word).inc()
    return result


def _certain(answers: Sequence[ScanResult | EngineError]) -> ScanResult:
    """Return the gravest answer. Raises EngineError where one is missing."""
    results: list[ScanResult] = []
    for answer in answers:
        if isinstance(answer, EngineError):
            raise answer
        results.append(answer)
    return gravest(results)
