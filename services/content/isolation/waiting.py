"""Messages that wait for a helper, and whose turn it is (PURE but for the event that one waits for).

Whoever cost helpers most of late comes last: a sender whose messages overrun waits behind all others, not they behind
it. Among equals, who came first is first.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from services.content.mime.inspection import Inspection
from shared.policy.content import InspectionRules

_HALF_LIFE_S = 60.0
_MAX_SOURCES = 10_000


class Costs:
    """The seconds that each source cost of late, halved each minute. It remembers those that cost something last."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def add(self, source: str, seconds: float, now: float) -> None:
        """Note what a source's message cost."""
        self._known[source] = (self.of(source, now) + seconds, now)
        self._known.move_to_end(source)
        if len(self._known) > _MAX_SOURCES:
            self._known.popitem(last=False)

    def of(self, source: str, now: float) -> float:
        """Return what a source cost of late."""
        seconds, noted = self._known.get(source, (0.0, now))
        return float(seconds * 0.5 ** ((now - noted) / _HALF_LIFE_S))


@dataclass(slots=True, eq=False)
class Job:
    """A message to be examined. done: cancelled once nobody waits for it. deaths: helpers that died on it."""

    data: bytes
    rules: InspectionRules
    source: str
    arrived: float
    done: asyncio.Future[Inspection] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    deaths: int = 0


class Line:
    """The messages that wait."""

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._jobs: list[Job] = []
        self._arrival = asyncio.Event()

    def put(self, job: Job) -> None:
        """Let a message wait for its turn."""
        self._jobs.append(job)
        self._arrival.set()

    async def take(self) -> Job:
        """Wait for the next message."""
        while True:
            self._jobs = [job for job in self._jobs if not job.done.done()]
            if self._jobs:
                break
            self._arrival.clear()
            await self._arrival.wait()
        now = time.monotonic()
        job = min(self._jobs, key=lambda job: (round(self._costs.of(job.source, now)), job.arrived))
        self._jobs.remove(job)
        return job

    def fail(self, error: Exception) -> None:
        """Tell all who wait that nothing will come of it."""
        for job in self._jobs:
            if not job.done.done():
                job.done.set_exception(error)
        self._jobs.clear()
