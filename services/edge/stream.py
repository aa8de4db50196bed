"""The connection under an SMTP session: aiosmtpd's `SMTP` with our own reading, writing, deadlines and set-up.

Owns: what the transport tells us, lines and pieces from the client, replies to it, TLS, and the close.
From aiosmtpd come the protocol class and its hooks' names; replaced are its reader (a bare LF ends its lines and it has
no bounds), its timeout (which cancels a message being stored), and its set-up, whose introspection at each connection
costs more than a message (done once per listener here).
Standards: RFC 5321 §4.5.3.2 (timeouts), RFC 3207 (STARTTLS), RFC 8314 (implicit TLS).
On failure: `Over` with the last words, `BadLine`, or ConnectionError; a client that goes away while its message is
stored does not stop the storing.
"""

import asyncio
import ssl
from typing import Any, NoReturn, cast

import structlog
from aiosmtpd.smtp import SMTP

from services.edge.handler import EdgeHandler
from services.edge.inbox import LINE_LIMIT, Inbox
from services.edge.limits import Sessions
from services.edge.session import Session, Transaction
from shared.policy import SessionLimits
from shared.reply import Reply

_log = structlog.get_logger()
_NEVER = float("inf")
# How long a client may take to fetch our last words, and to end TLS.
_LAST_WORDS_S = 5.0
_LINGER_S = 1.0

_TIMED_OUT = Reply(421, "4.4.2", "Timeout, closing the session")
ENDING = Reply(421, "4.3.2", "Service shutting down, closing the session")


class Over(Exception):
    """The session ends. reply: its last words, if any."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Door:
    """What all connections of one listener share. name: of its rules in the policy."""

    def __init__(
        self, name: str, handler: EdgeHandler, sessions: Sessions, tls_context: ssl.SSLContext | None = None
    ) -> None:
        self.name = name
        self.handler = handler
        self.sessions = sessions
        self.tls_context = tls_context
        self.prototype = _prototype(handler)


def _prototype(handler: EdgeHandler) -> dict[str, Any]:
    """Return the attributes that aiosmtpd's constructor finds, once for all connections."""
    model = SMTP(handler, hostname=handler.hostname, enable_SMTPUTF8=True, loop=asyncio.get_running_loop())
    # Its tables hold methods bound to the model; ours are looked up on the class.
    return {name: value for name, value in vars(model).items() if name not in ("_smtp_methods", "_auth_methods")}


class Stream(SMTP):
    """A connection without a notion of commands."""

    state: Session

    def __init__(self, door: Door) -> None:
        # Deliberately not aiosmtpd's constructor: see `_prototype`.
        vars(self).update(door.prototype)
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
        self._session_end = self.loop.time() + self.handler.policy.limits.session_timeout_s
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

    # ---- what `Sessions` tells us

    def expire(self) -> None:
        """The deadline has passed: end what waits for the client."""
        self.deadline = _NEVER
        if not self.inbox.fail(Over(_TIMED_OUT)) and self.transport is not None:
            # It does not fetch our replies, or it does not end TLS.
            cast("asyncio.Transport", self.transport).abort()

    def end_soon(self) -> None:
        """End as soon as nothing is under way."""
        self.ending = True
        if self._idle:
            self.inbox.fail(Over(ENDING))

    def end_with(self, reply: Reply) -> NoReturn:
        """End the session with these last words."""
        raise Over(reply)

    # ---- reading and writing

    @property
    def limits(self) -> SessionLimits:
        """The limits in force for this session."""
        return self.state.limits

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
        context = self.door.tls_context
        if context is None:
            raise Over
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
        self.state.forget_client()
        self.tx = Transaction()

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
