"""The helper processes of a content worker (I/O): examining messages in them, and keeping them alive.

Input: a message. Output: its inspection. A helper is ended, and another one started, when its message overran or is no
longer waited for, after many messages, and when it died by itself.
On failure: Overrun is the message's own outcome. Unavailable where no helper can be started: nothing is known then.
"""

import asyncio
import contextlib
import time

import structlog
from prometheus_client import Counter, Histogram

from services.content.isolation.process import Limit, Overrun, Process, StartFailed
from services.content.isolation.waiting import Costs, Job, Line
from services.content.mime.inspection import Inspection
from services.content.settings import IsolationSettings
from shared.policy.content import InspectionRules

_log = structlog.get_logger()
_took = Histogram("gatepost_content_isolation_seconds", "Time that a message took in a helper process")
_waited = Histogram("gatepost_content_isolation_wait_seconds", "Time that a message waited for a helper process")
_overran = Counter("gatepost_content_isolation_overruns_total", "Messages that went beyond a limit", ["limit"])
_started = Counter("gatepost_content_isolation_starts_total", "Helper processes that were started")

# What a library leaves behind shall not grow for ever.
_JOBS_PER_PROCESS = 5000
_MAX_PAUSE_S = 5.0
_FIRST_PAUSE_S = 0.1
# A helper may die of something else than the message that it has; of the next one it is the cause.
_MAX_DEATHS = 2


class Unavailable(Exception):
    """There is no helper process, and none can be started."""


class Pool:
    """The helpers of one worker."""

    def __init__(self, settings: IsolationSettings) -> None:
        self._settings = settings
        self._costs = Costs()
        self._line = Line(self._costs)
        self._keepers: list[asyncio.Task[None]] = []
        self._failing: set[int] = set()
        self.processes: dict[int, Process] = {}

    def start(self) -> None:
        """Begin to start helpers; messages may come at once."""
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(self._settings.processes)]

    async def close(self) -> None:
        """End all helpers at once."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []
        self._line.fail(Unavailable("closed"))

    async def examine(self, data: bytes, rules: InspectionRules, source: str) -> Inspection:
        """Return what is in a message; bound the wait with `asyncio.timeout`. source: who is charged for what it costs.

        Raises Overrun, Unavailable, ExaminationFailed.
        """
        if not self._keepers or len(self._failing) == len(self._keepers):
            raise Unavailable("no helper process can be started")
        job = Job(data, rules, source, time.monotonic())
        self._line.put(job)
        return await job.done

    async def _keep(self, place: int) -> None:
        """Keep one helper alive."""
        failures = 0
        while True:
            try:
                process = await Process.start(self._settings)
            except StartFailed as error:
                failures += 1
                self._note_failing(place, error)
                await asyncio.sleep(_pause_s(failures))
                continue
            _started.inc()
            self._failing.discard(place)
            self.processes[place] = process
            try:
                failures = 0 if await self._serve(process) else failures + 1
            finally:
                del self.processes[place]
                await process.end()
            if failures > 1:
                await asyncio.sleep(_pause_s(failures - 1))

    def _note_failing(self, place: int, error: StartFailed) -> None:
        _log.error("helper-not-started", reason=str(error))
        self._failing.add(place)
        if len(self._failing) == len(self._keepers):
            self._line.fail(Unavailable("no helper process can be started"))

    async def _serve(self, process: Process) -> bool:
        """Give a helper messages until it is of no more use; return whether it has done any of them."""
        for count in range(_JOBS_PER_PROCESS):
            job = await self._next_job(process)
            if job is None:
                _log.warning("helper-died")
                return count > 0
            if not await self._run(process, job):
                return count > 0
        return True

    async def _next_job(self, process: Process) -> Job | None:
        """Return the next message, or None if the helper has ended before there was one."""
        job = asyncio.create_task(self._line.take())
        ended = asyncio.create_task(process.wait())
        taken = False
        try:
            await asyncio.wait({job, ended}, return_when=asyncio.FIRST_COMPLETED)
            taken = not ended.done()
            return job.result() if taken else None
        finally:
            if job.done() and not taken:
                self._line.put(job.result())
            await _cancel(job, ended)

    async def _run(self, process: Process, job: Job) -> bool:
        """Let a helper examine a message; return whether it can take another."""
        begun = time.monotonic()
        _waited.observe(begun - job.arrived)
        work = asyncio.create_task(process.examine(job.data, job.rules))
        try:
            await asyncio.wait({work, job.done}, return_when=asyncio.FIRST_COMPLETED)
            return work.done() and self._conclude(job, work)
        except asyncio.CancelledError:
            if not job.done.done():
                job.done.set_exception(Unavailable("closed"))
            raise
        finally:
            seconds = time.monotonic() - begun
            _took.observe(seconds)
            self._costs.add(job.source, seconds, time.monotonic())
            await _cancel(work)

    def _conclude(self, job: Job, work: asyncio.Task[Inspection]) -> bool:
        error = work.exception()
        if isinstance(error, Overrun) and error.limit is Limit.DIED:
            job.deaths += 1
            if job.deaths < _MAX_DEATHS and not job.done.done():
                self._line.put(job)
                return False
        if isinstance(error, Overrun):
            _overran.labels(error.limit.value).inc()
            _log.warning("helper-overrun", limit=error.limit.value, size_bytes=len(job.data), source=job.source)
        if not job.done.done():
            if error is None:
                job.done.set_result(work.result())
            else:
                job.done.set_exception(error)
        return not isinstance(error, Overrun)


def _pause_s(failures: int) -> float:
    return float(min(_FIRST_PAUSE_S * 2 ** min(failures, 10), _MAX_PAUSE_S))


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
