"""Several clamds that stand in for each other (I/O).

Owns: `ClamdEngine`: the one with the least to do is asked first; one that fails is put aside for a while that grows
(rotation.py), and the scan goes to the next as long as there is time.
Input: samples. Output: `ScanResult`; only clamd's explicit word makes a message clean.
On failure: EngineError once each daemon has failed; its text names what the last one did.
"""

import asyncio
import time

import structlog
from prometheus_client import Counter, Gauge

from services.content.engines.cached_scan import CachedScan
from services.content.engines.clamd_daemon import Daemon
from services.content.engines.clamd_session import ENGINE
from services.content.engines.rotation import Rotation
from services.content.engines.sample import Sample
from services.content.engines.scan import EngineError, Exceeded, ScanResult
from services.content.settings import ClamdSettings

_log = structlog.get_logger()
_well = Gauge(
    "gatepost_content_clamd_daemons_well",
    "clamds that are not put aside, as the worker sees it that sees the fewest",
    multiprocess_mode="livemin",
)
_failed = Counter("gatepost_content_clamd_failures_total", "Scans that a clamd did not do", ["daemon"])

# Of the 12 s that a verdict may take (DESIGN §4), so that another daemon has time for the message, too; and more for a
# large one, which takes longer to send and to scan.
ATTEMPT_S = 5.0
_BYTES_PER_S = 25_000_000


class ClamdEngine:
    """The clamds of one worker."""

    name = ENGINE

    def __init__(self, settings: ClamdSettings, *, attempt_s: float = ATTEMPT_S) -> None:
        self._daemons = {address: Daemon(address, settings.sessions) for address in settings.addresses}
        self._rotation = Rotation(settings.addresses)
        self._stream_max_bytes = settings.stream_max_bytes
        self._cached = CachedScan(ENGINE, settings.cache_entries)
        self._attempt_s = attempt_s
        _well.set(self._rotation.well)

    async def scan(self, sample: Sample) -> ScanResult:
        """Return clamd's word on a message. Raises EngineError; bound it with `asyncio.timeout`."""
        if sample.size > self._stream_max_bytes:
            # Nobody looks at all of it, and clamd would close the session.
            return Exceeded(ENGINE, "stream_max_bytes")
        order = self._order()
        cause = ""
        for place, address in enumerate(order):
            daemon = self._daemons[address]
            before = daemon.scans
            # The last one may take whatever time the caller has left.
            limit_s = self._attempt_s + sample.size / _BYTES_PER_S if place + 1 < len(order) else None
            try:
                result = await self._ask(daemon, sample, limit_s)
            except EngineError as error:
                cause = str(error)
                self._put_aside(address, cause)
            except (TimeoutError, asyncio.CancelledError) as error:
                cause = f"clamd at {address} gave no answer in time"
                # If it answered others meanwhile, the message is hard to scan, and the daemon is well.
                if daemon.scans == before:
                    self._put_aside(address, cause)
                if isinstance(error, asyncio.CancelledError):
                    raise
            else:
                self._note_answer(address)
                return result
        raise EngineError(cause)

    async def close(self) -> None:
        """End all sessions."""
        for daemon in self._daemons.values():
            await daemon.close()

    def _order(self) -> list[str]:
        if len(self._daemons) == 1:
            return list(self._daemons)
        return self._rotation.order(time.monotonic(), lambda address: self._daemons[address].load)

    async def _ask(self, daemon: Daemon, sample: Sample, limit_s: float | None) -> ScanResult:
        if limit_s is None:
            await daemon.ask_version()
            return await self._cached(daemon, sample)
        async with asyncio.timeout(limit_s):
            return await self._ask(daemon, sample, None)

    def _note_answer(self, address: str) -> None:
        if self._rotation.answered(address):
            _well.set(self._rotation.well)
            _log.info("clamd-back", daemon=address)

    def _put_aside(self, address: str, cause: str) -> None:
        _failed.labels(address).inc()
        if self._rotation.failed(address, time.monotonic()):
            _well.set(self._rotation.well)
            _log.warning("clamd-put-aside", daemon=address, cause=cause)
