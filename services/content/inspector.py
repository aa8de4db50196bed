"""Examining what a message holds: in this process what is light and plain, in a helper process all else (I/O).

Input: a message's bytes, split. Output: an `Inspection`. What overruns a limit is an inspection with that fault.
On failure: Unavailable or ExaminationFailed, on which nobody may say what the message is.
"""

from dataclasses import replace

from services.content.isolation.pool import Pool
from services.content.isolation.process import Limit, Overrun
from services.content.mime.caps import HEAVY_BYTES, scan_caps
from services.content.mime.inspection import Fault, FaultKind, Inspection
from services.content.mime.walk import inspect, needs_opener
from services.content.settings import IsolationSettings
from shared.auth.message import Message
from shared.policy.content import InspectionRules


class Inspector:
    """The inspections of one worker. pool: its helper processes."""

    def __init__(self, settings: IsolationSettings) -> None:
        self._settings = settings
        self.pool = Pool(settings)

    async def start(self) -> None:
        """Start the helper processes; this does not wait for them."""
        self.pool.start()

    async def close(self) -> None:
        """End them."""
        await self.pool.close()

    async def inspect(self, data: bytes, message: Message, rules: InspectionRules, source: str = "") -> Inspection:
        """Return what a message holds; bound the wait with `asyncio.timeout`. source: whom its cost is charged to.

        Raises Unavailable, ExaminationFailed.
        """
        seen = Inspection()
        # Even the scan of a large message would hold the loop.
        if len(data) <= HEAVY_BYTES:
            caps = scan_caps(data, message)
            if caps.beyond:
                return Inspection(caps.parts, faults=(Fault(FaultKind.EXCEEDED, caps.beyond),))
            if not caps.heavy:
                seen = inspect(message)
                if not needs_opener(seen):
                    return seen
        try:
            return await self.pool.examine(data, rules, source)
        except Overrun as overrun:
            return replace(seen, faults=(*seen.faults, Fault(FaultKind.OVERRUN, self._text(overrun.limit))))

    def _text(self, limit: Limit) -> str:
        match limit:
            case Limit.CPU:
                return f"its examination took more than {self._settings.cpu_s} s of CPU time"
            case Limit.MEMORY:
                return f"its examination took more than {self._settings.memory_mb} MB of memory"
            case Limit.TIME:
                return f"its examination came to no end within {self._settings.cpu_s * 2} s"
            case Limit.DIED:
                return "its examination ended the processes that tried it"
