"""clamd over kept, pipelined sessions (I/O).

Owns: `ClamdEngine`: a few IDSESSION connections over which scans are streamed (INSTREAM), none waiting for another.
Input: message bytes. Output: `Clean` or `Infected`; only clamd's explicit word makes a message clean.
On failure: EngineError for whatever else happens (no connection, no answer, an ERROR reply, a session that dies).
Why not the clamd package's own `instream`: it opens a connection per scan, which costs more than scanning a small
message, sends 1 kB pieces without `sendall`, and returns None when the daemon dies. Its reply grammar is used here.
"""

import asyncio
import contextlib
import itertools
import struct
from dataclasses import dataclass

import clamd
import structlog

_log = structlog.get_logger()

_PIECE_BYTES = 262_144
_CONNECT_TIMEOUT_S = 3.0
# A big message keeps its session's line busy; others then take another.
_BIG_BYTES = 1_000_000
# Scans that may wait in one session before another is opened.
_CROWD = 8
_REPLY_LIMIT = 4096


class EngineError(Exception):
    """The engine gave no verdict: nobody may say that the message is clean."""


@dataclass(frozen=True, slots=True)
class Clean:
    """clamd said OK."""


@dataclass(frozen=True, slots=True)
class Infected:
    """clamd said FOUND. signature: its name for what it found."""

    signature: str


ScanResult = Clean | Infected


def read_reply(reply: str) -> ScanResult:
    """Return what a reply to INSTREAM says (without its number). Raises EngineError for all but OK and FOUND."""
    matched = clamd.scan_response.match(reply)
    if matched is None:
        raise EngineError(f"clamd answered {reply[:200]!r}")
    virus, status = matched.group("virus", "status")
    if status == "OK":
        return Clean()
    if status == "FOUND" and virus:
        return Infected(virus)
    raise EngineError(f"clamd answered {reply[:200]!r}")


class _Session:
    """One IDSESSION. Replies carry the number of their command and may come in any order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._sending = asyncio.Lock()
        self._dead: str | None = None
        self.scans = 0
        writer.write(b"zIDSESSION\0")
        self._task = asyncio.create_task(self._read(), name="clamd-session")

    @property
    def is_dead(self) -> bool:
        return self._dead is not None

    @property
    def load(self) -> int:
        return len(self._waiting)

    async def scan(self, data: bytes) -> ScanResult:
        async with self._sending:
            if self._dead is not None:
                raise EngineError(self._dead)
            # The order of commands on the wire is the order of numbers, so both are taken under the lock.
            number = next(self._numbers)
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self._waiting[number] = future
            try:
                await self._send(data)
            except BaseException:
                # Half a stream cannot be taken back: the session is unusable.
                self._end("sending to clamd was broken off")
                raise
        answered = self.scans
        try:
            return read_reply(await future)
        except asyncio.CancelledError:
            # Out of time, and not one answer meanwhile: the daemon hangs, and nobody else shall wait for this session.
            if self.scans == answered:
                self._end("clamd gave no answer in time")
            raise
        finally:
            self._waiting.pop(number, None)

    async def _send(self, data: bytes) -> None:
        if len(data) <= _PIECE_BYTES:
            self._writer.write(b"".join((b"zINSTREAM\0", struct.pack("!L", len(data)), data, b"\0\0\0\0")))
            return
        self._writer.write(b"zINSTREAM\0")
        view = memoryview(data)
        for start in range(0, len(data), _PIECE_BYTES):
            piece = view[start : start + _PIECE_BYTES]
            self._writer.write(struct.pack("!L", len(piece)))
            self._writer.write(piece)
            await self._writer.drain()
        self._writer.write(b"\0\0\0\0")

    async def _read(self) -> None:
        cause = "clamd closed the session"
        try:
            while True:
                reply = (await self._reader.readuntil(b"\0"))[:-1].decode("utf-8", "replace")
                number, colon, text = reply.partition(": ")
                if not colon or not number.isdigit():
                    cause = f"clamd answered {reply[:200]!r}"
                    break
                self.scans += 1
                future = self._waiting.get(int(number))
                if future is not None and not future.done():
                    future.set_result(text)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            cause = f"clamd closed the session ({type(error).__name__})"
        finally:
            self._end(cause)

    def _end(self, cause: str) -> None:
        if self._dead is None:
            self._dead = cause
        self._writer.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineError(self._dead))
                # A scan that was cancelled meanwhile does not fetch it.
                future.exception()

    async def close(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(b"zEND\0")
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class ClamdEngine:
    """A clamd. sessions: how many connections are kept at the most."""

    def __init__(self, address: str, port: int, sessions: int = 2) -> None:
        self._address = address
        self._port = port
        self._limit = sessions
        self._sessions: list[_Session] = []
        self._opening = asyncio.Lock()

    async def scan(self, data: bytes) -> ScanResult:
        """Return clamd's word on a message. Raises EngineError; bound it with `asyncio.timeout`."""
        session = await self._session(len(data))
        kept = session.scans > 0
        try:
            return await session.scan(data)
        except (EngineError, OSError) as error:
            # A kept session may have ended while idle (clamd's IdleTimeout, a restart): once more on a fresh one.
            if not kept or not session.is_dead:
                raise EngineError(str(error)) from None
        try:
            fresh = await self._open()
            return await fresh.scan(data)
        except OSError as error:
            raise EngineError(str(error)) from None

    async def close(self) -> None:
        """End all sessions."""
        for session in self._sessions:
            await session.close()
        self._sessions.clear()

    async def _session(self, size_bytes: int) -> _Session:
        ready = self._ready(size_bytes)
        if ready is not None:
            return ready
        # Whoever waited here may find that the one before has opened what both lacked.
        async with self._opening:
            return self._ready(size_bytes) or await self._open()

    def _ready(self, size_bytes: int) -> _Session | None:
        """Return the session to use, or None where a further one is wanted."""
        alive = self._sessions = [session for session in self._sessions if not session.is_dead]
        if not alive:
            return None
        quiet = min(alive, key=lambda session: session.load)
        crowded = quiet.load >= (1 if size_bytes > _BIG_BYTES else _CROWD)
        return None if crowded and len(alive) < self._limit else quiet

    async def _open(self) -> _Session:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(self._address, self._port, limit=_REPLY_LIMIT)
        except (OSError, TimeoutError) as error:
            cause = f"clamd at {self._address}:{self._port} cannot be reached: {type(error).__name__}"
            raise EngineError(cause) from None
        session = _Session(reader, writer)
        self._sessions.append(session)
        return session
