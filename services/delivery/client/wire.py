"""One connection to a next hop: octets out, replies in (I/O: an asyncio protocol).

Owns: the socket, its deadlines, and telling why it ended.
On failure: WireLost with the reason; after it the wire is closed and of no more use.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast

from services.delivery.client.replies import HopReply, ReplyError, ReplyReader
from services.delivery.tls.context import shown_chain

_QUIT_GRACE_S = 3.0
# A hop that answers more than it was asked has lost step with us.
_REPLIES_LIMIT = 2000
# RFC 5321 §4.5.3.1.5: 512 octets for each of them; replies of many long lines are to fill no memory.
_UNREAD_LIMIT_BYTES = _REPLIES_LIMIT * 512


class WireLost(Exception):
    """The connection ended or a reply did not come in time; the text says which."""


class HandshakeFailed(WireLost):
    """TLS did not come about. error: why."""

    def __init__(self, reason: str, error: BaseException) -> None:
        super().__init__(reason)
        self.error = error


class Wire(asyncio.Protocol):
    """A conversation. One task at a time uses it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader()
        self._replies: deque[HopReply] = deque()
        # Since the last time that no reply was left.
        self._unread_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 0
        self._writable: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._quitting = False
        self._when_ended: list[Callable[[], None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio calls it."""
        # A cast, since uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio calls it."""
        if self._quitting:
            self._end("closed")
            return
        if self._lost is not None:
            return
        self._unread_bytes += len(data)
        try:
            self._replies.extend(self._reader.feed(data))
        except ReplyError as error:
            # What was said before stands: in LMTP, a recipient's 250.
            self._replies.extend(error.before)
            self._end(str(error))
            return
        if len(self._replies) > _REPLIES_LIMIT or self._unread_bytes > _UNREAD_LIMIT_BYTES:
            self._end("more replies than commands")
        elif self._waiter is not None and len(self._replies) >= self._wanted:
            self._wake(self._waiter)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio calls it."""
        self._end(f"connection lost: {exc}" if exc else "connection closed by the next hop")

    def pause_writing(self) -> None:
        """Asyncio calls it: enough is buffered."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Asyncio calls it: the buffer is low again."""
        if self._writable is not None:
            self._wake(self._writable)
            self._writable = None

    @property
    def is_usable(self) -> bool:
        """Whether it is open and has nothing unasked-for waiting (a 421 before the hop closes, say)."""
        return self._lost is None and not self._replies and self._reader.is_empty

    @property
    def is_ended(self) -> bool:
        """Whether the connection is closed."""
        return self._lost is not None

    def when_ended(self, then: Callable[[], None]) -> None:
        """Call once the connection has ended; at once if it has already."""
        if self._lost is not None:
            then()
        else:
            self._when_ended.append(then)

    @property
    def has_reply(self) -> bool:
        """Whether a reply has come that was not taken."""
        return bool(self._replies)

    def write(self, *parts: bytes) -> None:
        """Send; what cannot go now is buffered. Raises WireLost."""
        if self._lost is not None or self._transport is None:
            raise WireLost(self._lost or "not connected")
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writelines(parts)

    async def drain(self, deadline: float) -> None:
        """Wait until what was written is under way. deadline: loop time. Raises WireLost."""
        while self._writable is not None and self._lost is None:
            await self._wait(self._writable, deadline, "the next hop does not take the data in time")
        if self._lost is not None:
            raise WireLost(self._lost)

    async def replies(self, count: int, deadline: float) -> list[HopReply]:
        """Return the next replies. deadline: loop time. Raises WireLost; replies that came before stay for `rest`."""
        if len(self._replies) < count:
            if self._lost is not None:
                raise WireLost(self._lost)
            self._wanted = count
            self._waiter = waiter = self._loop.create_future()
            try:
                await self._wait(waiter, deadline, "no reply in time")
            finally:
                self._waiter = None
            if len(self._replies) < count:
                raise WireLost(self._lost or "no reply in time")
        found = [self._replies.popleft() for _ in range(count)]
        if not self._replies:
            self._unread_bytes = 0
        return found

    def rest(self) -> list[HopReply]:
        """Return the replies that came and were not taken."""
        replies = list(self._replies)
        self._replies.clear()
        return replies

    async def start_tls(self, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Begin TLS. Raises HandshakeFailed, WireLost."""
        # What came in plain text behind the 220 was not said by whom TLS will speak with (CVE-2011-0411's client side).
        if not self.is_usable or self._transport is None:
            self._end("data before TLS began")
            raise WireLost(self._lost or "data before TLS began")
        try:
            async with asyncio.timeout_at(deadline):
                transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        except (OSError, ssl.SSLError, TimeoutError, asyncio.CancelledError) as error:
            self._end(f"TLS failed: {error or type(error).__name__}")
            if isinstance(error, asyncio.CancelledError):
                raise
            raise HandshakeFailed(self._lost or "TLS failed", error) from None
        if transport is None or not self.is_usable:
            self._end("data before TLS began")
            raise WireLost(self._lost or "TLS failed")
        self._transport = transport

    def tls_name(self) -> str | None:
        """Return TLS version and cipher, or None in plain text."""
        session = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        if session is None:
            return None
        cipher = session.cipher()
        return f"{session.version()} {cipher[0] if cipher else ''}".strip()

    def certificate(self) -> bytes | None:
        """Return the certificate that the hop showed (DER), or None in plain text."""
        session = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        shown: bytes | None = session.getpeercert(binary_form=True) if session is not None else None
        return shown

    def peer_chain(self) -> list[bytes]:
        """Return the certificates that the peer showed, in DER, its own first; nothing of them is verified by that."""
        session = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return shown_chain(session) if session is not None else []

    def addresses(self) -> tuple[str, str]:
        """Return our address and the peer's, empty where there is none (a unix socket, no connection)."""
        if self._transport is None:
            return "", ""
        ours, theirs = (self._transport.get_extra_info(name) for name in ("sockname", "peername"))
        return _ip(ours), _ip(theirs)

    def quit(self) -> None:
        """Say good-bye and close once it is answered, or soon if it is not."""
        if self._lost is not None or self._transport is None:
            return
        # RFC 5321 §4.1.1.10: a client sends QUIT and should wait for the reply.
        self._quitting = True
        self._transport.write(b"QUIT\r\n")
        self._loop.call_later(_QUIT_GRACE_S, self._end, "closed")

    def abort(self, reason: str) -> None:
        """Close at once."""
        self._end(reason)

    async def _wait(self, future: "asyncio.Future[None]", deadline: float, reason: str) -> None:
        timer = self._loop.call_at(deadline, self._end, reason)
        try:
            await future
        finally:
            timer.cancel()

    def _end(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
            if self._transport is not None:
                self._transport.abort()
            for then in self._when_ended:
                then()
        for future in (self._waiter, self._writable):
            if future is not None:
                self._wake(future)

    @staticmethod
    def _wake(future: "asyncio.Future[None]") -> None:
        if not future.done():
            future.set_result(None)


def _ip(name: object) -> str:
    return name[0] if isinstance(name, tuple) and name and isinstance(name[0], str) else ""
