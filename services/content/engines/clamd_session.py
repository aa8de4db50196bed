"""One kept session with a clamd (I/O): commands go out one behind the other, replies come in any order.

Owns: `Session`, clamd's IDSESSION, over which scans are streamed (INSTREAM), none waiting for another.
Input: samples. Output: `ScanResult`; only clamd's explicit word makes a message clean.
On failure: EngineError for whatever else happens (no answer, an ERROR reply, a session that dies).
Why not the clamd package's own `instream`: it opens a connection per scan, which costs more than scanning a small
message, sends 1 kB pieces without `sendall`, and returns None when the daemon dies. Its reply grammar is used here.
"""

import asyncio
import contextlib
import itertools
import os
import struct
from collections.abc import Iterator

import clamd

from services.content.engines.sample import Sample
from services.content.engines.scan import Clean, EngineError, Exceeded, ScanResult, found

ENGINE = "ClamAV"
REPLY_LIMIT = 4096
# What a write to a connection that is closed raises; uvloop raises RuntimeError.
CLOSED = (OSError, RuntimeError)
_ONE_WRITE_BYTES = 262_144
_LAST_WORDS_S = 1.0
_SIZE_EXCEEDED = "INSTREAM size limit exceeded. ERROR"


def read_reply(reply: str) -> ScanResult:
    """Return what a reply to INSTREAM says (without its number). Raises EngineError for all that is no result."""
    if reply == _SIZE_EXCEEDED:
        return Exceeded(ENGINE, "StreamMaxLength")
    matched = clamd.scan_response.match(reply)
    if matched is not None:
        virus, status = matched.group("virus", "status")
        if status == "OK" and not virus:
            return Clean(ENGINE)
        if status == "FOUND" and virus:
            return found(ENGINE, virus)
    raise EngineError(f"clamd answered {reply[:200]!r}")


class Session:
    """One IDSESSION. scans: how many it has answered. load: how many scans wait in it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._sending = asyncio.Lock()
        self._dead: str | None = None
        # A second descriptor of the socket, while a large message is on its way.
        self._ear: int | None = None
        self.is_abandoned = False
        # The last command that was sent of those that are answered.
        self._latest = 0
        self.scans = 0
        self.load = 0
        writer.write(b"zIDSESSION\0")
        self._task = asyncio.create_task(self._read(), name="clamd-session")

    @property
    def is_dead(self) -> bool:
        """Whether it is of no more use."""
        return self._dead is not None

    async def scan(self, sample: Sample) -> ScanResult:
        """Return clamd's word on a message."""
        self.load += 1
        number = 0
        try:
            number, answer = await self._send(sample)
            return read_reply(await answer)
        except asyncio.CancelledError:
            # Out of time, and nothing that was sent later is answered: the daemon hangs, and nobody else shall wait for
            # this session.
            if self._latest <= number:
                self.abandon("clamd gave no answer in time")
            raise
        finally:
            self.load -= 1

    def abandon(self, cause: str) -> None:
        """End it at once because clamd does not answer; whoever waits for that gets an EngineError."""
        self.is_abandoned = True
        self._end(cause)

    async def close(self) -> None:
        """End it; clamd takes a closed connection for the end of a session."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _send(self, sample: Sample) -> tuple[int, asyncio.Future[str]]:
        async with self._sending:
            if self._dead is not None:
                raise EngineError(self._dead)
            # The order of commands on the wire is the order of numbers, so both are taken under the lock.
            number = next(self._numbers)
            future = self._waiting[number] = asyncio.get_running_loop().create_future()
            with self._second_ear(sample):
                try:
                    await self._stream(sample)
                except CLOSED as error:
                    # clamd says that a stream is too long, and closes the session without taking the rest.
                    await asyncio.wait([self._task], timeout=_LAST_WORDS_S)
                    self._end(f"clamd closed the session ({type(error).__name__})")
                except BaseException:
                    # Half a stream cannot be taken back: the session is unusable.
                    self._end("sending to clamd was broken off")
                    raise
            return number, future

    @contextlib.contextmanager
    def _second_ear(self, sample: Sample) -> Iterator[None]:
        """Keep the socket open for the length of a `with`: a write that meets a closed connection closes the
        transport, which may not have read yet what clamd said before.
        """
        if sample.size_sent <= _ONE_WRITE_BYTES or self._writer.is_closing():
            yield
            return
        self._ear = os.dup(self._writer.get_extra_info("socket").fileno())
        try:
            yield
        finally:
            os.close(self._ear)
            self._ear = None

    def _last_words(self) -> list[bytes]:
        """Return the replies that the transport has not read any more."""
        if self._ear is None:
            return []
        try:
            return os.read(self._ear, REPLY_LIMIT).split(b"\0")[:-1]
        except OSError:
            return []

    async def _stream(self, sample: Sample) -> None:
        size = sample.size_sent
        if size <= _ONE_WRITE_BYTES:
            self._writer.write(b"".join((b"zINSTREAM\0", struct.pack("!L", size), *sample.parts, b"\0\0\0\0")))
            return
        self._writer.write(b"zINSTREAM\0")
        for piece in sample.pieces():
            if self._dead is not None:
                raise ConnectionResetError(self._dead)
            self._writer.write(struct.pack("!L", len(piece)))
            self._writer.write(piece)
            await self._writer.drain()
        self._writer.write(b"\0\0\0\0")

    async def _read(self) -> None:
        cause = "clamd closed the session"
        try:
            while True:
                self._take((await self._reader.readuntil(b"\0"))[:-1])
        except EngineError as error:
            cause = str(error)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            cause = f"clamd closed the session ({type(error).__name__})"
            with contextlib.suppress(EngineError):
                for words in self._last_words():
                    self._take(words)
        finally:
            self._end(cause)

    def _take(self, words: bytes) -> None:
        """Give a reply to the scan that waits for it. Raises EngineError for what is none."""
        reply = words.decode("utf-8", "replace")
        number, colon, text = reply.partition(": ")
        if not colon or not (number.isascii() and number.isdigit()):
            raise EngineError(f"clamd answered {reply[:200]!r}")
        self.scans += 1
        self._latest = max(self._latest, int(number))
        future = self._waiting.pop(int(number), None)
        if future is not None and not future.done():
            future.set_result(text)

    def _end(self, cause: str) -> None:
        if self._dead is None:
            self._dead = cause
        # Deliberately without sending what is left: a daemon that hangs would never take it.
        self._writer.transport.abort()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineError(self._dead))
                # A scan that was cancelled meanwhile does not fetch it.
                future.exception()
        self._waiting.clear()
