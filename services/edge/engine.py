"""One SMTP connection: aiosmtpd's `SMTP` with our own reading, deadlines and set-up.

Owns: the life of a session from accept to close: PROXY header, TLS, greeting, the loop that reads a command and calls
`smtp_<NAME>`.
From aiosmtpd come the protocol class, its commands' names and its hooks; replaced are its reader (a bare LF ends its
lines and it has no bounds), its timeout (which cancels a message being stored), its errors (which show exceptions to
the client), and its set-up, whose introspection at each connection costs more than a message (done once per listener
here).
Standards: RFC 5321, RFC 3207 (STARTTLS), RFC 8314 (implicit TLS).
On failure: an unexpected exception is `451 4.3.0`, logged, and never shown; a client that goes away while its message
is stored does not stop the storing.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NoReturn, cast

import structlog
from aiosmtpd.smtp import SMTP

from services.edge import metrics, proxy
from services.edge.decide.refusal import RefusalReason, refuse
from services.edge.handler import EdgeHandler
from services.edge.inbox import LINE_LIMIT, BadLine, Inbox
from services.edge.limits import Sessions
from services.edge.session import Session, Transaction
from shared.policy import Limits, TlsMode
from shared.reply import Reply

_log = structlog.get_logger()
_NEVER = float("inf")
# How long a client may take to fetch our last words, and to end TLS.
_LAST_WORDS_S = 5.0

_TIMED_OUT = Reply(421, "4.4.2", "Timeout, closing the session")
_ENDING = Reply(421, "4.3.2", "Service shutting down, closing the session")
_LOCAL_ERROR = Reply(451, "4.3.0", "Local error in processing, try again later")
_BROKEN = Reply(421, "4.3.0", "Local error in processing, closing the session")
_UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognized")
_TOO_MANY_ERRORS = refuse(RefusalReason.TOO_MANY_ERRORS, 421, "4.7.0", "Too many errors, closing the session")
_TOO_MANY_COMMANDS = refuse(
    RefusalReason.TOO_MANY_COMMANDS, 421, "4.7.0", "Too many commands without a message, closing the session"
)
_PROXY_HEADER = refuse(RefusalReason.PROXY_HEADER, 421, "4.3.2", "PROXY header expected")

Command = Callable[[Any, str], Awaitable[None]]


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


class Engine(SMTP):
    """A connection. Subclasses bring the commands."""

    commands: ClassVar[dict[bytes, Command]] = {}

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
        self._ending = False
        self._idle = False
        self._in_message = False
        self._encrypted = False

    # ---- what the transport tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session."""
        self.transport = transport
        self.inbox = Inbox(self.loop, cast("asyncio.Transport", transport))
        self._session_end = self.loop.time() + self.limits.session_timeout_s
        self.door.sessions.add(self)
        self._handler_coroutine = self.loop.create_task(self._handle_client())

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
        self._ending = True
        if self._idle:
            self.inbox.fail(Over(_ENDING))

    # ---- reading and writing

    @property
    def limits(self) -> Limits:
        """The limits of the policy in force."""
        return self.handler.policy.limits

    async def read_line(self, timeout_s: float, limit: int = LINE_LIMIT) -> bytes:
        """Return the next line without CRLF. Raises Over, BadLine, ConnectionResetError."""
        line = self.inbox.take_line(limit)
        if line is None:
            # One deadline for the whole line, so that single octets win no time.
            self.deadline = min(self.loop.time() + timeout_s, self._session_end)
            while line is None:
                await self.inbox.more()
                line = self.inbox.take_line(limit)
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

    # ---- the session

    async def _handle_client(self) -> None:
        try:
            await self._begin()
            while True:
                await self._next_command()
        except Over as over:
            await self._last_words(over.reply)
        except BadLine as bad:
            self.handler.note_bad_line(self.state, bad.reply)
            await self._last_words(bad.reply)
        except (ConnectionError, ssl.SSLError, TimeoutError):
            pass
        except Exception:
            _log.exception("session-broken", listener=self.door.name)
            await self._last_words(_BROKEN)
        finally:
            self.abandon_message()
            self.door.sessions.remove(self)
            metrics.OPEN_SESSIONS.set(len(self.door.sessions))
            self._close()

    async def _begin(self) -> None:
        peer = cast("asyncio.Transport", self.transport).get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104
        rules = self.handler.rules_of(self.door.name)
        if rules is None:
            raise Over
        self.state = Session(self.door.name, rules, proxy.plain_address(peer[0]), peer[1])
        metrics.SESSIONS.labels(self.door.name).inc()
        if rules.proxy_from and self.handler.is_proxy(rules, self.state.address):
            await self._read_proxy_header()
        refusal = self.handler.judge_session(len(self.door.sessions), draining=self.door.sessions.draining)
        implicit = rules.tls is TlsMode.IMPLICIT
        if refusal is not None:
            reply = self.handler.refuse_session(self.state, refusal)
            # Plain words would only puzzle a client that speaks TLS from the first octet.
            raise Over(None if implicit else reply)
        if implicit:
            await self.upgrade_to_tls(self.inbox.take())
        await self.push(f"220 {self.handler.hostname} ESMTP Gatepost")

    async def _read_proxy_header(self) -> None:
        try:
            head = await self._read_exactly(proxy.FIXED_BYTES)
            client = proxy.parse(head + await self._read_exactly(proxy.announced_length(head)))
        except proxy.ProxyError as error:
            _log.warning("proxy-header-refused", listener=self.door.name, proxy=self.state.address, cause=str(error))
            self.handler.refuse_session(self.state, _PROXY_HEADER)
            raise Over from None
        if client is not None:
            self.state.address, self.state.port = client.address, client.port

    async def _read_exactly(self, count: int) -> bytes:
        octets = b""
        end = self.loop.time() + self.limits.handshake_timeout_s
        while len(octets) < count:
            octets += await self.read_piece(self.limits.handshake_timeout_s, end, count - len(octets))
        return octets

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
        secured = await handshake
        assert secured is not None
        self.transport = secured
        self._encrypted = True
        self.inbox.reading_on(secured)
        cipher = secured.get_extra_info("cipher")
        self.state.tls = f"{cipher[1]} {cipher[0]}" if cipher else "TLS"
        self.state.forget_client()
        self.tx = Transaction()

    async def _next_command(self) -> None:
        if self._ending:
            raise Over(_ENDING)
        limits = self.limits
        self._idle = True
        line = await self.read_line(limits.command_timeout_s)
        self._idle = False
        state = self.state
        state.commands += 1
        if state.commands > limits.commands:
            raise Over(self.handler.refuse_session(state, _TOO_MANY_COMMANDS))
        name, _, argument = line.partition(b" ")
        command = self.commands.get(name.upper())
        if command is None:
            await self.fail(_UNKNOWN_COMMAND)
        else:
            await self._run(command, argument)
        if state.errors >= limits.errors:
            raise Over(self.handler.refuse_session(state, _TOO_MANY_ERRORS))

    async def _run(self, command: Command, argument: bytes) -> None:
        try:
            await command(self, argument.decode("utf-8").strip(" "))
        except UnicodeDecodeError:
            await self.fail(Reply(501, "5.5.2", "Neither ASCII nor UTF-8"))
        except (Over, BadLine, ConnectionError, ssl.SSLError):
            raise
        except Exception:
            _log.exception("command-broken", listener=self.door.name, client=self.state.address)
            # Within a message it is not known where the next command begins.
            if self._in_message:
                raise Over(_BROKEN) from None
            await self.push(_LOCAL_ERROR)

    async def fail(self, reply: Reply) -> None:
        """Send an error reply that counts towards the limit of errors."""
        self.state.errors += 1
        await self.push(reply)

    async def refused(self, reply: Reply) -> None:
        """Send a refusal; a permanent one counts."""
        self.state.errors += reply.permanent
        await self.push(reply)

    def end_with(self, reply: Reply) -> NoReturn:
        """End the session with these last words."""
        raise Over(reply)

    def abandon_message(self) -> None:
        """Give up a message that is being received."""

    async def _last_words(self, reply: Reply | None) -> None:
        if reply is not None and self.transport is not None:
            cast("asyncio.Transport", self.transport).write(f"{reply}\r\n".encode())

    def _close(self) -> None:
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
