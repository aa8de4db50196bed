"""Scanning what is not known yet (I/O through the engine).

Input: a sample, and what would scan it.
Output: `ScanResult`, from the cache where it holds it. Without a version nothing is kept: nobody could tell when it is
outdated.
"""

import asyncio
import time
from typing import Protocol

from prometheus_client import Counter

from services.content.engines.result_cache import ResultCache
from services.content.engines.sample import Sample
from services.content.engines.scan import ScanResult

_hits = Counter("gatepost_content_antivirus_cache_hits_total", "Results that were known already", ["engine"])
# A digest of more takes milliseconds, which belong to a thread.
_BIG_BYTES = 1_000_000


class Scanner(Protocol):
    """What scans."""

    @property
    def version(self) -> str:
        """What it scans with, as far as that is known; empty where it is not."""

    async def scan(self, sample: Sample) -> ScanResult:
        """Return the engine's word. Raises EngineError."""


class CachedScan:
    """The results of one engine, in one worker. engine: its name, for the metrics."""

    def __init__(self, engine: str, entries: int) -> None:
        self._results = ResultCache(entries)
        self._is_on = entries > 0
        self._hits = _hits.labels(engine)

    async def __call__(self, scanner: Scanner, sample: Sample) -> ScanResult:
        """Return the result of a scan, or what a scan would give. Raises EngineError."""
        before = scanner.version
        if not self._is_on or not before:
            return await scanner.scan(sample)
        digest = await asyncio.to_thread(_digest, sample) if sample.size > _BIG_BYTES else sample.digest
        known = self._results.get(digest, before, time.monotonic())
        if known is not None:
            self._hits.inc()
            return known
        result = await scanner.scan(sample)
        # Its signatures may have been renewed meanwhile.
        if scanner.version == before:
            self._results.put(digest, before, result, time.monotonic())
        return result


def _digest(sample: Sample) -> bytes:
    return sample.digest
