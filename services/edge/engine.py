"""The course of an SMTP session: opening, commands one after the other, end.

Owns: PROXY header, admission, greeting; the loop that reads a command and calls `smtp_<NAME>`; counting commands and
errors; the manner in which a session ends.
Standards: RFC 5321 §3.1, §4.3, RFC 2920 §3.1 (what may follow what).
On failure: an unexpected exception is `451 4.3.0`, logged, and never shown to the client.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NoReturn

import structlog

from services.edge import metrics, proxy
from services.edge.decide.pipelining import judge_pipelining
from services.edge.decide.refusal import Manner, Refusal, RefusalReason, refuse
from services.edge.door import Door
from services.edge.ending import SHUTTING_DOWN, Over
from services.edge.inbox import AUTH_LINE_LIMIT, LINE_LIMIT, BadLine
from services.edge.session import Session
from services.edge.stream import Stream
from shared.errors import LOCAL_ERROR
from shared.policy.client import plain_ip
from shared.reply import Reply

_log = structlog.get_logger()

_BROKEN = Reply(421, "4.3.0", "Local error in processing, closing the session")
_UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognized")
_TOO_MANY_ERRORS = refuse(RefusalReason.TOO_MANY_ERRORS, 421, "4.7.0", "Too many errors, closing the session")
_TOO_MANY_COMMANDS = refuse(
    RefusalReason.TOO_MANY_COMMANDS, 421, "4.7.0", "Too many commands without a message, closing the session"
)
_TOO_MANY_UNKNOWN = refuse(
    RefusalReason.TOO_MANY_UNKNOWN_COMMANDS, 421, "4.7.0", "Too many unknown commands, closing the session"
)
_TOO_MANY_REFUSED = refuse(
    RefusalReason.TOO_MANY_REFUSED_RECIPIENTS, 421, "4.7.0", "Too many refused recipients, closing the session"
)
_PROXY_HEADER = refuse(RefusalReason.PROXY_HEADER, 421, "4.3.2", "PROXY header expected")

# Commands of one session between two turns of the loop, at most.
_TURN_COMMANDS = 50

Command = Callable[[Any, str], Awaitable[None]]


class Engine(Stream):
    """A session. Subclasses bring the commands."""

    commands: ClassVar[dict[bytes, Command]] = {}

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._begun = False
        self._in_a_row = 0
        self._admitted = False
        # Within a message it is not known where the next command begins.
        self._in_message = False

    async def _handle_client(self) -> None:
        try:
            await self._end(await self._serve())
        except (Over, ConnectionError):
            pass
        except Exception:
            _log.exception("session-broken", listener=self.door.name)
        finally:
            self.abandon_message()
            if self._begun:
                await self.handler.admission.leave(self.state)
            self.door.sessions.remove(self)
            metrics.OPEN_SESSIONS.set(len(self.door.sessions))
            self.close()

    async def _serve(self) -> Over:
        """Carry out the session and return how it ends."""
        try:
            await self._begin()
            self._admitted = True
            while True:
                await self._next_command()
        except Over as over:
            return over
        except BadLine as bad:
            return Over(self.handler.refuse_session(self.state, Refusal(RefusalReason.BAD_LINE, bad.reply)))
        except (ConnectionError, ssl.SSLError, TimeoutError):
            return Over()
        except Exception:
            _log.exception("session-broken", listener=self.door.name)
            return Over(_BROKEN)

    async def _end(self, over: Over) -> None:
        """Say the last words, or do not. Raises Over, ConnectionError."""
        if over.manner is Manner.DROP or (over.manner is Manner.TARPIT and not await self._tarpit()):
            return
        reply = over.reply
        self.last_words(reply)
        # After QUIT the client closes; what it has sent all the same would reset the connection under our 221.
        if reply is not None and self._admitted and not self.ending and (reply.code != 221 or self.inbox.has_more):
            await self.linger()

    async def _tarpit(self) -> bool:
        """Keep a refused client busy; return whether there was room for it. Raises Over, ConnectionError."""
        limits, sessions = self.handler.policy.limits, self.door.sessions
        if sessions.tarpitted >= limits.tarpits:
            return False
        sessions.tarpitted += 1
        metrics.TARPITTED.set(sessions.tarpitted)
        try:
            await self.hold(limits.tarpit_s)
        finally:
            sessions.tarpitted -= 1
            metrics.TARPITTED.set(sessions.tarpitted)
        return True

    def turn_away(self, refusal: Refusal) -> NoReturn:
        """End the session with a refusal, in its manner."""
        reply = self.handler.refuse_session(self.state, refusal)
        # Plain words would only puzzle a client that speaks TLS from the first octet.
        raise Over(None if self.state.is_implicit_tls and not self._encrypted else reply, refusal.manner)

    async def _begin(self) -> None:
        assert self.transport is not None
        peer = self.transport.get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104
        rules = self.handler.rules_of(self.door.name)
        if rules is None:
            raise Over
        self.state = Session(self.door.name, rules, str(plain_ip(peer[0])), peer[1], limits=rules.limits)
        self._begun = True
        metrics.SESSIONS.labels(self.door.name).inc()
        if rules.proxy_from and self.handler.is_proxy(rules, self.state.address):
            await self._read_proxy_header()
        await self._admit()
        if self.state.is_implicit_tls:
            await self.upgrade_to_tls(self.inbox.take())
        await self.welcome()

    async def welcome(self) -> None:
        """Greet the client."""
        await self.push(f"220 {self.handler.hostname} ESMTP Gatepost")

    async def _admit(self) -> None:
        """Have the client, whose address is known now, pass whatever may speak against it. Raises Over."""
        admission, load = self.handler.admission, self.door.sessions.load(self.door.name)
        refusal = await admission.at_connect(self.state, load) or self.handler.why_no_session()
        refusal = refusal or await admission.before_greeting(self.state, self.hears)
        if refusal is not None:
            self.turn_away(refusal)

    async def _read_proxy_header(self) -> None:
        try:
            client = proxy.parse(await self._take_proxy_header())
        except proxy.ProxyError as error:
            _log.warning("proxy-header-refused", listener=self.door.name, proxy=self.state.address, cause=str(error))
            self.handler.refuse_session(self.state, _PROXY_HEADER)
            raise Over from None
        if client is not None:
            self.state.address, self.state.port = client.address, client.port

    async def _take_proxy_header(self) -> bytes:
        end = self.loop.time() + self.limits.handshake_timeout_s
        octets = b""
        length = None
        while length is None:
            octets += await self.read_piece(self.limits.handshake_timeout_s, end)
            length = proxy.header_length(octets)
        # What stands behind the header is the client's.
        self.inbox.put_back(octets[length:])
        return octets[:length]

    async def _next_command(self) -> None:
        if self.ending:
            raise Over(SHUTTING_DOWN)
        limits, state = self.limits, self.state
        # RFC 4954 §4: an initial response may make AUTH longer than any other command.
        line = await self.read_line(limits.command_timeout_s, AUTH_LINE_LIMIT if state.rules.auth else LINE_LIMIT)
        state.commands += 1
        if state.commands > limits.commands:
            self.turn_away(_TOO_MANY_COMMANDS)
        self._in_a_row += 1
        if self._in_a_row >= _TURN_COMMANDS:
            # A pipelined burst waits for nothing; others get their turn all the same.
            self._in_a_row = 0
            await asyncio.sleep(0)
        name, _, argument = line.partition(b" ")
        name = name.upper()
        if self.inbox.has_more and (refusal := judge_pipelining(name, extended=state.extended_smtp)):
            self.turn_away(refusal)
        command = self.commands.get(name)
        if command is None:
            state.unknown_commands += 1
            await self.fail(_UNKNOWN_COMMAND)
        else:
            await self._run(command, argument)
        self._check_counts()

    def _check_counts(self) -> None:
        state, limits = self.state, self.limits
        if state.errors >= limits.errors:
            self.turn_away(_TOO_MANY_ERRORS)
        if state.unknown_commands >= limits.unknown_commands:
            self.turn_away(_TOO_MANY_UNKNOWN)
        if state.refused_recipients >= limits.refused_recipients:
            self.turn_away(_TOO_MANY_REFUSED)

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
        await self._slow_down()
        await self.push(reply)

    async def refused(self, reply: Reply) -> None:
        """Send a refusal; a permanent one counts."""
        if reply.permanent:
            self.state.errors += 1
        await self._push_refusal(reply)

    async def refused_recipient(self, reply: Reply) -> None:
        """Send a recipient's refusal; permanent ones have a count of their own, against those who try addresses."""
        if reply.permanent:
            self.state.refused_recipients += 1
        await self._push_refusal(reply)

    async def _push_refusal(self, reply: Reply) -> None:
        # RFC 5321 §3.8: whoever says 421 closes.
        if reply.code == 421:
            raise Over(reply)
        if reply.permanent:
            await self._slow_down()
        await self.push(reply)

    async def _slow_down(self) -> None:
        state, limits = self.state, self.limits
        if state.errors + state.refused_recipients > limits.errors_before_delay and limits.error_delay_s:
            await self.rest(limits.error_delay_s)

    def abandon_message(self) -> None:
        """Give up a message that is being received."""
