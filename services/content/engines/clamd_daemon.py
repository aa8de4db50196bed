"""One clamd (I/O): the sessions that are kept to it, the version of its signatures, the proof of its limits.

Owns: `Daemon`. A session that ended while idle (clamd's IdleTimeout, a restart) is replaced at once.
Input: samples. Output: `ScanResult`.
On failure: EngineError. That clamd does not report what it could not look into is a warning `clamd-limits-silent` and
a gauge: the policy's rules for such messages then never apply, but nothing else is worse for it.
"""

import asyncio
import contextlib
import time

import structlog
from prometheus_client import Gauge

from services.content.engines.clamd_session import CLOSED, REPLY_LIMIT, Session
from services.content.engines.sample import Sample
from services.content.engines.scan import Clean, EngineError, ScanResult
from shared.clamd_proof import proofs
from shared.endpoint import Unix, parse_address

_log = structlog.get_logger()
_silent = Gauge(
    "gatepost_content_clamd_limits_silent",
    "1 where clamd says OK to what it could not look into, by the setting of clamd.conf that is missing",
    ["daemon", "setting"],
    multiprocess_mode="livemax",
)

VERSION_FOR_S = 60.0
PROOF_FOR_S = 3600.0
# clamd answers VERSION at once, even while all its threads are scanning.
_SIGN_OF_LIFE_S = 2.0
_PROOF_S = 10.0
_CONNECT_TIMEOUT_S = 3.0
# A big message keeps its session's line busy; others then take another.
_BIG_BYTES = 1_000_000
# Answers that may be awaited in one session before another is opened.
_CROWD = 8


class Daemon:
    """A clamd. limit: how many sessions are kept at the most. scans: how many it has answered. version: of clamd and
    its signatures, as last told; empty where it is not known, or names no signatures.
    """

    def __init__(self, address: str, limit: int) -> None:
        self.address = address
        self._where = parse_address(address)
        self._limit = limit
        self._sessions: list[Session] = []
        self._opening = asyncio.Lock()
        self.scans = 0
        self.version = ""
        self._told_at: float | None = None
        self._proved_at: float | None = None
        self._proving: asyncio.Task[None] | None = None
        self._learning: asyncio.Task[None] | None = None

    @property
    def load(self) -> int:
        """How many answers are awaited from it."""
        return sum(session.load for session in self._sessions)

    async def ask_version(self) -> None:
        """See that the version is the one of the last minute. Raises EngineError where there is no sign of life."""
        if self._is_known():
            return
        # All who want to know wait for one answer, or for its absence.
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn_version(), name="clamd-version")
            self._learning.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._learning)

    async def scan(self, sample: Sample) -> ScanResult:
        """Return clamd's word on a message. Raises EngineError."""
        result = await self._scan(sample)
        self.scans += 1
        return result

    async def close(self) -> None:
        """End all sessions."""
        for task in (self._learning, self._proving):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, EngineError):
                    await task
        for session in self._sessions:
            await session.close()
        self._sessions.clear()

    def _is_known(self) -> bool:
        if self._told_at is None or time.monotonic() - self._told_at > VERSION_FOR_S:
            return False
        return any(not session.is_dead for session in self._sessions)

    async def _learn_version(self) -> None:
        """Ask over a connection of its own, where no message is in the way of the answer."""
        self._told_at = None
        before = self.scans
        # First: whoever was started again may have other signatures than it told before.
        await self._session(0)
        try:
            async with asyncio.timeout(_SIGN_OF_LIFE_S):
                told = await self._told_version()
        except TimeoutError:
            if self.scans == before:
                for session in self._sessions:
                    session.abandon("clamd gives no sign of life")
                raise EngineError(f"clamd at {self.address} gives no sign of life") from None
            told = ""
        except (*CLOSED, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise self._out_of_reach(error) from None
        # "ClamAV 1.4.2/27600/Mon Nov 23 08:26:03 2026": the number is that of the daily signatures.
        self.version = told if "/" in told else ""
        self._told_at = time.monotonic()
        if self._proved_at is None or self._told_at - self._proved_at > PROOF_FOR_S:
            self._proved_at = self._told_at
            self._proving = asyncio.create_task(self._prove(), name="clamd-proof")

    async def _told_version(self) -> str:
        reader, writer = await self._connect()
        try:
            writer.write(b"zVERSION\0")
            return (await reader.readuntil(b"\0"))[:-1].decode("utf-8", "replace")
        finally:
            writer.transport.abort()

    async def _prove(self) -> None:
        """Ask for a word on what clamd cannot look into."""
        for setting, proof in proofs().items():
            try:
                async with asyncio.timeout(_PROOF_S):
                    result = await self._scan(Sample(proof))
            except (EngineError, TimeoutError):
                # Not known, then; asked again once the daemon is back.
                self._proved_at = None
                return
            is_silent = isinstance(result, Clean)
            _silent.labels(self.address, setting).set(is_silent)
            if is_silent:
                _log.warning("clamd-limits-silent", daemon=self.address, missing=f"{setting} yes")

    async def _scan(self, sample: Sample) -> ScanResult:
        session = await self._session(sample.size)
        is_kept = session.scans > 0
        try:
            return await session.scan(sample)
        except EngineError:
            # Once more on a fresh one, if it may have ended while idle.
            if not is_kept or not session.is_dead or session.is_abandoned:
                raise
        return await (await self._open()).scan(sample)

    async def _session(self, size_bytes: int) -> Session:
        ready = self._ready(size_bytes)
        if ready is not None:
            return ready
        # Whoever waited here may find that the one before has opened what both lacked.
        async with self._opening:
            return self._ready(size_bytes) or await self._open()

    def _ready(self, size_bytes: int) -> Session | None:
        """Return the session to use, or None where a further one is wanted."""
        alive = self._sessions = [session for session in self._sessions if not session.is_dead]
        if not alive:
            return None
        quiet = min(alive, key=lambda session: session.load)
        crowded = quiet.load >= (1 if size_bytes > _BIG_BYTES else _CROWD)
        return None if crowded and len(alive) < self._limit else quiet

    async def _open(self) -> Session:
        if all(session.is_dead for session in self._sessions):
            # It may have been started again, with other signatures and another clamd.conf.
            self.version, self._told_at, self._proved_at = "", None, None
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                session = Session(*await self._connect())
        except (OSError, TimeoutError) as error:
            raise self._out_of_reach(error) from None
        self._sessions.append(session)
        return session

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._where, Unix):
            return await asyncio.open_unix_connection(self._where.path, limit=REPLY_LIMIT)
        return await asyncio.open_connection(self._where.host, self._where.port, limit=REPLY_LIMIT)

    def _out_of_reach(self, error: Exception) -> EngineError:
        return EngineError(f"clamd at {self.address} cannot be reached: {type(error).__name__}")
