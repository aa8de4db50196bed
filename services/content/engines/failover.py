"""Asking one of several antispam daemons, and the next where that one gives no answer (I/O through the backend).

Input: a `Backend`, which asks one address once, and the addresses. Output: a `SpamEngine`.
On failure: SpamError once each address has failed; its text names what the last one said. A daemon that hangs costs
its first messages ATTEMPT_S each, then it is put aside (rotation.py) and comes back by itself.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import structlog
from prometheus_client import Counter, Histogram

from services.content.engines.rotation import Rotation
from services.content.spam import SpamError, SpamReport, SpamRequest

_log = structlog.get_logger()
_took = Histogram("gatepost_content_antispam_seconds", "Time from a question to an antispam engine to its answer")
_failed = Counter("gatepost_content_antispam_failures_total", "Questions that an antispam daemon did not answer")

# Of the 12 s that a verdict may take (DESIGN §4): enough for two daemons that hang and one that answers.
ATTEMPT_S = 4.0


class Backend(Protocol):
    """One kind of antispam daemon. name: for people."""

    name: str

    async def ask(self, address: str, request: SpamRequest) -> SpamReport:
        """Return what the daemon at an address says. Raises SpamError."""

    async def close(self) -> None:
        """End all connections."""


class FailoverEngine:
    """The antispam engine of one worker."""

    def __init__(self, backend: Backend, addresses: Sequence[str], *, attempt_s: float = ATTEMPT_S) -> None:
        self._backend = backend
        self._rotation = Rotation(addresses)
        self._attempt_s = attempt_s

    async def judge(self, request: SpamRequest) -> SpamReport:
        """Return the engine's word on a message. Raises SpamError; bound it with `asyncio.timeout`."""
        order = self._rotation.order(time.monotonic())
        cause = ""
        for place, address in enumerate(order):
            # The last one may take whatever time the caller has left.
            limit_s = self._attempt_s if place + 1 < len(order) else None
            try:
                with self._noted(address):
                    async with asyncio.timeout(limit_s):
                        return await self._backend.ask(address, request)
            except (SpamError, TimeoutError) as error:
                cause = str(error) or f"{self._backend.name} at {address} gave no answer in {self._attempt_s:g} s"
        raise SpamError(cause)

    async def close(self) -> None:
        """End all connections."""
        await self._backend.close()

    @contextlib.contextmanager
    def _noted(self, address: str) -> Iterator[None]:
        """Count and remember how it went. A caller that is out of time has waited in vain: that is a failure, too."""
        began = time.monotonic()
        try:
            yield
        except (SpamError, TimeoutError, asyncio.CancelledError) as error:
            _failed.inc()
            if self._rotation.failed(address, time.monotonic()):
                _log.warning("antispam-daemon-put-aside", address=address, cause=str(error) or type(error).__name__)
            raise
        _took.observe(time.monotonic() - began)
        if self._rotation.answered(address):
            _log.info("antispam-daemon-back", address=address)
