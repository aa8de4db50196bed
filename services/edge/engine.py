"""The course of an SMTP session: opening, commands one after the other, end.

Owns: PROXY header, admission, greeting; the loop that reads a command and calls `smtp_<NAME>`; counting commands and
errors.
Standards: RFC 5321 §3.1, §4.3.
On failure: an unexpected exception is `451 4.3.0`, logged, and never shown to the client.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import structlog

from services.edge import metrics, proxy
from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.inbox import BadLine
from services.edge.session import Session
from services.edge.stream import ENDING, Door, Over, Stream
from shared.errors import LOCAL_ERROR
from shared.policy import TlsMode
from shared.reply import Reply

_log = structlog.get_logger()

_BROKEN = Reply(421, "4.3.0", "Local error in processing, closing the session")
_UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognized")
_TOO_MANY_ERRORS = refuse(RefusalReason.TOO_MANY_ERRORS, 421, "4.7.0", "Too many errors, closing the session")
_TOO_MANY_COMMANDS = refuse(
    RefusalReason.TOO_MANY_COMMANDS, 421, "4.7.0", "Too many commands without a message, closing the session"
)
_PROXY_HEADER = refuse(RefusalReason.PROXY_HEADER, 421, "4.3.2", "PROXY header expected")

Command = Callable[[Any, str], Awaitable[None]]


class Engine(Stream):
    """A session. Subclasses bring the commands."""

    commands: ClassVar[dict[bytes, Command]] = {}

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._admitted = False
        # Within a message it is not known where the next command begins.
        self._in_message = False

    async def _handle_client(self) -> None:
        try:
            reply = await self._serve()
            self.last_words(reply)
            if reply is not None and self._admitted and not self.ending and reply.code != 221:
                await self.linger()
        except (Over, ConnectionError):
            pass
        except Exception:
            _log.exception("session-broken", listener=self.door.name)
        finally:
            self.abandon_message()
            self.door.sessions.remove(self)
            metrics.OPEN_SESSIONS.set(len(self.door.sessions))
            self.close()

    async def _serve(self) -> Reply | None:
        """Carry out the session and return its last reply."""
        try:
            await self._begin()
            self._admitted = True
            while True:
                await self._next_command()
        except Over as over:
            return over.reply
        except BadLine as bad:
            return self.handler.refuse_session(self.state, Refusal(RefusalReason.BAD_LINE, bad.reply))
        except (ConnectionError, ssl.SSLError, TimeoutError):
            return None
        except Exception:
            _log.exception("session-broken", listener=self.door.name)
            return _BROKEN

    async def _begin(self) -> None:
        assert self.transport is not None
        peer = self.transport.get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104
        rules = self.handler.rules_of(self.door.name)
        if rules is None:
            raise Over
        self.state = Session(self.door.name, rules, proxy.plain_address(peer[0]), peer[1], limits=rules.limits)
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

    async def _next_command(self) -> None:
        if self.ending:
            raise Over(ENDING)
        limits = self.limits
        line = await self.read_line(limits.command_timeout_s)
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
            if self._in_message:
                raise Over(_BROKEN) from None
            await self.push(LOCAL_ERROR)

    async def fail(self, reply: Reply) -> None:
        """Send an error reply that counts towards the limit of errors."""
        self.state.errors += 1
        await self.push(reply)

    async def refused(self, reply: Reply) -> None:
        """Send a refusal; a permanent one counts."""
        self.state.errors += reply.permanent
        await self.push(reply)

    def abandon_message(self) -> None:
        """Give up a message that is being received."""
