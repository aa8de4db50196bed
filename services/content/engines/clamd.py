"""Several clamds that stand in for each other (I/O).

Owns: `ClamdEngine`: the one with the least to do is asked first; one that fails is put aside for a while that grows
(rotation.py), and the scan goes to the next; where one takes long, the next is asked beside it.
Input: samples. Output: `ScanResult`; only clamd's explicit word makes a message clean.
On failure: EngineError once each daemon has failed; its text names what the last one did.
"""

import asyncio
import time
from collections.abc import Sequence

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

# Of the 12 s that a verdict may take (DESIGN §4): after so long another daemon is asked, too. A large message takes
# longer to send and to scan.
PATIENCE_S = 5.0
_BYTES_PER_S = 25_000_000


class ClamdEngine:
    """The clamds of one worker."""

    name = ENGINE

    def __init__(self, settings: ClamdSettings, *, patience_s: float = PATIENCE_S) -> None:
        self._daemons = {address: Daemon(address, settings.sessions) for address in settings.addresses}
        self._rotation = Rotation(settings.addresses)
        self._stream_max_bytes = settings.stream_max_bytes
        self._cached = CachedScan(ENGINE, settings.cache_entries)
        self._patience_s = patience_s
        _well.set(self._rotation.well)

    async def scan(self, sample: Sample) -> ScanResult:
        """Return clamd's word on a message. Raises EngineError; bound it with `asyncio.timeout`."""
        if sample.size > self._stream_max_bytes:
            # Nobody looks at all of it, and clamd would close the session.
            return Exceeded(ENGINE, "stream_max_bytes")
        if len(self._daemons) == 1:
            [daemon] = self._daemons.values()
            return await self._ask(daemon, sample)
        order = self._rotation.order(time.monotonic(), lambda address: self._daemons[address].load)
        return await self._ask_in_turn([self._daemons[address] for address in order], sample)

    async def close(self) -> None:
        """End all sessions."""
        for daemon in self._daemons.values():
            await daemon.close()

    async def _ask_in_turn(self, order: Sequence[Daemon], sample: Sample) -> ScanResult:
        """Ask the next one where one fails, and also where one takes long: it may hang, or the message is hard to scan,
        and then the first one's word still counts.
        """
        patience_s = self._patience_s + sample.size / _BYTES_PER_S
        left = list(order)
        asked: set[asyncio.Task[ScanResult]] = set()
        cause = EngineError("no clamd was asked")
        try:
            while left or asked:
                if left:
                    asked.add(asyncio.create_task(self._ask(left.pop(0), sample), name="clamd-scan"))
                # The last one may take whatever time the caller has left.
                limit_s = patience_s if left else None
                done, asked = await asyncio.wait(asked, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if not isinstance(error, EngineError):
                        raise error
                    cause = error
        finally:
            for task in asked:
                task.cancel()
        raise cause

    async def _ask(self, daemon: Daemon, sample: Sample) -> ScanResult:
        before = daemon.scans
        try:
            await daemon.ask_version()
            result = await self._cached(daemon, sample)
        except EngineError as error:
            self._put_aside(daemon.address, str(error))
            raise
        except asyncio.CancelledError:
            # Out of time. If it answered others meanwhile, the message is hard to scan, and the daemon is well.
            if daemon.scans == before:
                self._put_aside(daemon.address, "no answer in time")
            raise
        if self._rotation.answered(daemon.address):
            _well.set(self._rotation.well)
            _log.info("clamd-back", daemon=daemon.address)
        return result

    def _put_aside(self, address: str, cause: str) -> None:
        _failed.labels(address).inc()
        if self._rotation.failed(address, time.monotonic()):
            _well.set(self._rotation.well)
            _log.warning("clamd-put-aside", daemon=address, cause=cause)
