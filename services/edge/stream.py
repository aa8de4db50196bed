"""The connection under an SMTP session: aiosmtpd's `SMTP` with our own reading, writing, deadlines and set-up.

Owns: what the transport tells us, lines and pieces from the client, replies to it, TLS, and the close.
From aiosmtpd come the protocol class and its hooks' names; replaced are its reader (a bare LF ends its lines and it has
no bounds), its timeout (which cancels a message being stored), and its constructor, whose introspection at each
connection costs more than a message, and whose attributes more memory than all of ours.
Deadlines are looked at by `Sessions`, a few times a second; no wait has a timer of its own.
Standards: RFC 5321 §4.5.3.2 (timeouts), RFC 3207 (STARTTLS), RFC 8314 (implicit TLS).
On failure: `Over` with the last words, `BadLine`, or ConnectionError; a client that goes away while its message is
stored does not stop the storing.
"""

import asyncio
import ssl
from collections.abc import Coroutine
from typing import NoReturn, cast

import structlog
from aiosmtpd.smtp import SMTP

from services.edge.door import Door
from services.edge.ending import SHUTTING_DOWN, Over, TimedOut
from services.edge.inbox import LINE_LIMIT, Inbox
from services.edge.session import Session, Transaction
from services.edge.tls.binding import channel_bindings
from services.edge.tls.context import certificate_of
from shared.policy import SessionLimits
from shared.policy.listener import ClientCertificates
from shared.reply import Reply

_log = structlog.get_logger()
_NEVER = float("inf")
# How long a client may take to fetch our last words, and to end TLS.
_LAST_WORDS_S = 5.0
_LINGER_S = 1.0


class Stream(SMTP):
    """A connection without a notion of commands."""

    state: Session

    def __init__(self, door: Door) -> None:
        # Deliberately not aiosmtpd's constructor, nor its parents' but the one for flow control.
        loop = asyncio.get_running_loop()
        asyncio.streams.FlowControlMixin.__init__(self, loop=loop)
        self.loop = loop
        self.door = door
        self.handler = door.handler
        self.deadline = _NEVER
        self.tx = Transaction()
        self.ending = False
        self._idle = False
        self._encrypted = False

    # ---- what the transport tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session."""
        self.transport = transport
        self.inbox = Inbox(self.loop, cast("asyncio.Transport", transport))
        self._since = self.loop.time()
        self.door.sessions.add(self)
        self._handler_coroutine = self.loop.create_task(self._handle_client())

    async def _handle_client(self) -> None:
        """Carry out the session; the subclass does."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self.inbox.feed(data)

    def eof_received(self) -> bool:
        """A half-closed client may still be answered; TLS cannot do that."""
        self.inbox.end()
        return not self._encrypted

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing is cancelled: a message that is being stored is stored, and its id answered."""
        self.transport = None
        self.inbox.end()
        asyncio.streams.FlowControlMixin.connection_lost(self, error)

    # ---- what `Sessions` asks and tells us

    @property
    def listener(self) -> str:
        """The name of its listener."""
        return self.door.name

    def expire(self) -> None:
        """The deadline has passed: end what waits for the client."""
        self.deadline = _NEVER
        if not self.inbox.fail(TimedOut()) and self.transport is not None:
            # It does not fetch our replies, or it does not end TLS.
            cast("asyncio.Transport", self.transport).abort()

    def end_soon(self) -> None:
        """End as soon as nothing is under way."""
        self.ending = True
        if self._idle:
            self.inbox.fail(Over(SHUTTING_DOWN))

    def end_with(self, reply: Reply) -> NoReturn:
        """End the session with these last words."""
        raise Over(reply)

    # ---- reading and writing

    @property
    def limits(self) -> SessionLimits:
        """The limits in force for this session: as it began, or as a policy of since then has them from MAIL on."""
        return self.state.limits

    @property
    def _session_end(self) -> float:
        return self._since + self.state.limits.session_timeout_s

    async def read_line(self, timeout_s: float, limit: int = LINE_LIMIT) -> bytes:
        """Return the next line without CRLF. Raises Over, BadLine, ConnectionResetError."""
        line = self.inbox.take_line(limit)
        if line is None:
            # One deadline for the whole line, so that single octets win no time.
            self.deadline = min(self.loop.time() + timeout_s, self._session_end)
            self._idle = True
            while line is None:
                await self.inbox.more()
                line = self.inbox.take_line(limit)
            self._idle = False
            self.deadline = _NEVER
        return line

    async def read_piece(self, timeout_s: float, end: float, most: int | None = None) -> bytes:
        """Return what has come of a message, at least one octet. end: loop time at which the whole must be there."""
        piece = self.inbox.take(most)
        while not piece:
            self.deadline = min(self.loop.time() + timeout_s, end, self._session_end)
            await self.inbox.more()
            self.deadline = _NEVER
            piece = self.inbox.take(most)
        return piece

    async def hears(self, wait_s: float) -> bool:
        """Wait for the client to say something; return whether it did. Raises Over."""
        if wait_s and not self.inbox.has_more:
            await self._wait(self.inbox.more(), wait_s)
        return self.inbox.has_more

    async def rest(self, seconds: float) -> None:
        """Do nothing for a while, whatever comes meanwhile, unless the client ends. Raises Over."""
        if not self.ending:
            await self._wait(self.inbox.rest(), seconds)

    async def hold(self, seconds: float) -> None:
        """Keep the client waiting for as long as it stays, and swallow what it says. Raises Over, ConnectionError."""
        until = self.loop.time() + seconds
        while (left := until - self.loop.time()) > 0:
            self.inbox.take()
            await self._wait(self.inbox.more(), left)

    async def _wait(self, event: Coroutine[None, None, None], seconds: float) -> None:
        """Wait for an event or until the time is over; the session may end meanwhile."""
        session_end = self._session_end
        self.deadline = min(self.loop.time() + seconds, session_end)
        self._idle = True
        try:
            await event
        except TimedOut:
            if self.loop.time() >= session_end:
                raise
        finally:
            self._idle = False
            self.deadline = _NEVER

    async def push(self, status: str | bytes | Reply) -> None:
        """Send a reply line (or several in one)."""
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is None:
            return
        transport.write(status + b"\r\n" if isinstance(status, bytes) else f"{status}\r\n".encode())
        if self._paused:  # type: ignore[attr-defined]
            self.deadline = self.loop.time() + self.limits.command_timeout_s
            await self._drain_helper()  # type: ignore[attr-defined]
            self.deadline = _NEVER

    async def upgrade_to_tls(self, already_read: bytes = b"") -> None:
        """Speak TLS from here on. already_read: its first octets, where they came with the PROXY header."""
        certificates = self.door.certificates
        if certificates is None:
            raise Over
        # The policy of this moment decides whether the client is asked for a certificate.
        context = certificates.context(asks=self.state.rules.client_certificates is not ClientCertificates.OFF)
        plain = cast("asyncio.Transport", self.transport)
        handshake = self.loop.start_tls(
            plain,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=self.limits.handshake_timeout_s,
            ssl_shutdown_timeout=_LAST_WORDS_S,
        )
        if already_read:
            # start_tls schedules the beginning of the handshake; these octets are its first food.
            self.loop.call_soon(lambda: self.loop.call_soon(_feed, plain, already_read))
        try:
            secured = await handshake
        except (ssl.SSLError, ConnectionError) as error:
            _log.info("tls-handshake-failed", client=self.state.address, cause=str(error))
            raise Over from None
        assert secured is not None
        self.transport = secured
        self._encrypted = True
        self.inbox.reading_on(secured)
        cipher = secured.get_extra_info("cipher")
        self.state.tls = f"{cipher[1]} {cipher[0]}" if cipher else "TLS"
        self.state.certificate = certificate_of(secured.get_extra_info("ssl_object"))
        self.state.forget_client()
        self.tx = Transaction()

    def channel_bindings(self) -> dict[str, bytes]:
        """Return what a login may be bound to, by name; nothing outside TLS."""
        transport = self.transport
        return channel_bindings(transport.get_extra_info("ssl_object")) if transport and self._encrypted else {}

    async def linger(self) -> None:
        """Half-close and swallow what the client still sends, for a moment: a reset would cost it our last words."""
        transport = self.transport
        if transport is None or self._encrypted:
            return
        cast("asyncio.Transport", transport).write_eof()
        self.deadline = self.loop.time() + _LINGER_S
        while True:
            self.inbox.take()
            await self.inbox.more()

    def last_words(self, reply: Reply | None) -> None:
        """Send a reply that nobody waits for."""
        if reply is not None and self.transport is not None:
            cast("asyncio.Transport", self.transport).write(f"{reply}\r\n".encode())

    def close(self) -> None:
        """Close the connection once everything is sent, or soon."""
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is None:
            return
        transport.close()
        if transport.get_write_buffer_size():
            self.loop.call_later(_LAST_WORDS_S, transport.abort)


def _feed(plain: asyncio.Transport, octets: bytes) -> None:
    protocol = cast("asyncio.BufferedProtocol", plain.get_protocol())
    while octets:
        room = protocol.get_buffer(len(octets))
        count = min(len(room), len(octets))  # type: ignore[arg-type]
        room[:count] = octets[:count]  # type: ignore[index]
        protocol.buffer_updated(count)
        octets = octets[count:]
