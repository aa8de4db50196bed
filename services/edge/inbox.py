"""What a client has sent and nobody has read yet.

Owns: the reading side of a connection: lines for commands, pieces for messages; a bound on what is held (beyond it the
socket is not read); and one waiter. Lines end with CRLF and with nothing else.
Standards: RFC 5321 §2.3.8, §4.1.1.4.
On failure: `BadLine` for a line that no SMTP client may send, ConnectionResetError at the end, whatever `fail` is
given.
"""

import asyncio
from typing import Protocol

from shared.reply import Reply

# Beyond this, nothing more is read from the socket until it was worked off.
HELD_LIMIT_BYTES = 65_536
# RFC 5321 §4.5.3.1.4 asks for 512 octets at least, and extensions for more: MAIL has 26 with SIZE (RFC 1870 §3), 17
# with BODY (RFC 6152 §2), 10 with SMTPUTF8 (RFC 6531 §3.1), 11 with REQUIRETLS (RFC 8689 §2), 500 with AUTH (RFC 4954
# §3), an ORCPT alone 500 (RFC 3461 §4.2). Deliberately one limit above all of these: they are the least that must be
# taken, not the most that may (RFC 5321 §4.5.3.1), and the names and paths in a line have limits of their own.
LINE_LIMIT = 4096
# RFC 4954 §4: 12,288 octets for AUTH.
AUTH_LINE_LIMIT = 12_288


class BadLine(Exception):
    """A line after which the session cannot go on safely."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


_BARE = Reply(500, "5.5.2", "Lines end with CRLF, and CR or LF stand nowhere else")
_NUL = Reply(500, "5.5.2", "NUL is not allowed")
_LONG = Reply(500, "5.5.2", "Line too long")


class Pausable(Protocol):
    """The reading side of a transport."""

    def pause_reading(self) -> None:
        """Read no more."""

    def resume_reading(self) -> None:
        """Read again."""


class Inbox:
    """The unread octets of one connection."""

    __slots__ = ("_at", "_deaf", "_loop", "_octets", "_over", "_paused", "_transport", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Pausable) -> None:
        self._loop = loop
        self._transport = transport
        self._octets = b""
        self._at = 0
        self._over = False
        self._paused = False
        self._deaf = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_more(self) -> bool:
        """Whether octets wait to be read."""
        return self._at < len(self._octets)

    def feed(self, octets: bytes) -> None:
        """Take what came from the socket."""
        self._octets = self._octets[self._at :] + octets if self._at < len(self._octets) else octets
        self._at = 0
        if len(self._octets) > HELD_LIMIT_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if not self._deaf:
            self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self._over = True
        self._wake()

    def fail(self, error: Exception) -> bool:
        """Have the one who waits get an error; return whether anybody waited."""
        if self._waiter is None or self._waiter.done():
            return False
        self._waiter.set_exception(error)
        return True

    def take_line(self, limit: int = LINE_LIMIT) -> bytes | None:
        """Return the next line without its CRLF, or None while it is not whole. Raises BadLine."""
        end = self._octets.find(b"\n", self._at)
        if end < 0:
            if len(self._octets) - self._at > limit:
                raise BadLine(_LONG)
            return None
        line = self._octets[self._at : end + 1]
        self._moved(end + 1)
        if len(line) > limit:
            raise BadLine(_LONG)
        if not line.endswith(b"\r\n") or line.find(b"\r", 0, -2) >= 0:
            raise BadLine(_BARE)
        if b"\0" in line:
            raise BadLine(_NUL)
        return line[:-2]

    def take(self, most: int | None = None) -> bytes:
        """Return what is there, at most so much; maybe nothing."""
        end = len(self._octets) if most is None else min(len(self._octets), self._at + most)
        octets = self._octets[self._at : end]
        self._moved(end)
        return octets

    def put_back(self, octets: bytes) -> None:
        """Return octets that were taken too many."""
        self._octets = octets + self._octets[self._at :]
        self._at = 0

    async def more(self) -> None:
        """Wait until something came. Raises ConnectionResetError if nothing more will come."""
        if self._over:
            raise ConnectionResetError("the client has gone")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def rest(self) -> None:
        """Wait until `fail` or the end ends it, whatever comes meanwhile."""
        if self._over:
            return
        self._deaf = True
        try:
            self._waiter = self._loop.create_future()
            await self._waiter
        finally:
            self._waiter = None
            self._deaf = False

    def reading_on(self, transport: Pausable) -> None:
        """Go on with another transport (TLS), which reads from the beginning."""
        self._transport = transport
        self._paused = False

    def _moved(self, to: int) -> None:
        self._at = to
        if to >= len(self._octets):
            self._octets, self._at = b"", 0
        if self._paused and len(self._octets) - self._at <= HELD_LIMIT_BYTES // 2 and not self._over:
            self._paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
