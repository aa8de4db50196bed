"""What edge decides about sessions, commands and messages, and how it hands a message on.

Owns: applying the rules of `decide/`, giving each refusal its id and event, and the way of a whole message: build the
envelope, publish, wait for the verdict, answer.
On failure: a publish without a confirm is 451 or 452, never 250, and the answer is remembered, for the message may be
there all the same.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import structlog

from services.edge import metrics
from services.edge.auth.verify import PasswordVerifier
from services.edge.data import Content
from services.edge.decide.loop import judge_loop
from services.edge.decide.recipient import complete, judge_recipient
from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.decide.sender import judge_client, judge_sender
from services.edge.decide.size import judge_declared_size, refusal_of
from services.edge.header import HeaderFacts, read_header
from services.edge.limits import ByteBudget
from services.edge.ports import EventsPort, PolicyPort, PublisherPort
from services.edge.session import Session, Transaction
from services.edge.trace import head
from services.edge.verdicts import Verdicts
from shared.address import Address
from shared.broker.publish import PublishError, PublishFailure
from shared.broker.topology import LARGE_BYTES, Exchange, content_key
from shared.envelope import Body, Client, Direction, Envelope, Proof
from shared.event import EventKind
from shared.ids import new_id
from shared.policy import Listener, Policy, Purpose
from shared.reply import Reply
from shared.wire import MAIL_TYPE, EnvelopeTooLarge, ReplyTo, mail_headers

_log = structlog.get_logger()
# The client waits meanwhile; an alarm of the broker is not over sooner.
PUBLISH_DEADLINE_S = 8.0

_TOO_MANY_CONNECTIONS = refuse(
    RefusalReason.TOO_MANY_CONNECTIONS, 421, "4.7.0", "Too many connections, try again later"
)
_NO_BROKER = refuse(RefusalReason.BROKER_UNAVAILABLE, 421, "4.3.2", "Service not available, try again later")
_NO_BROKER_NOW = refuse(RefusalReason.BROKER_UNAVAILABLE, 451, "4.3.2", "Service not available, try again later")
_ENDING = refuse(RefusalReason.SHUTTING_DOWN, 421, "4.3.2", "Service shutting down, try again later")
_ENVELOPE_TOO_LARGE = refuse(RefusalReason.ENVELOPE_TOO_LARGE, 452, "4.5.3", "Too many recipients for one message")


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is being received."""

    id: str
    received_at: float
    content: Content


class EdgeHandler:
    """The hooks of all sessions of this process."""

    def __init__(
        self,
        *,
        hostname: str,
        process_key: str,
        loop_key: bytes,
        policy: PolicyPort,
        publisher: PublisherPort,
        events: EventsPort,
        verdicts: Verdicts,
        verifier: PasswordVerifier,
        budget: ByteBudget,
        broker_takes: Callable[[], bool],
    ) -> None:
        self.hostname = hostname
        self.verifier = verifier
        self._process_key = process_key
        self._loop_key = loop_key
        self._policy = policy
        self._publisher = publisher
        self._events = events
        self._verdicts = verdicts
        self._budget = budget
        self._broker_takes = broker_takes
        # AMQP frames copy a message several times over: large ones go one after the other.
        self._one_large = asyncio.Lock()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy.policy

    # ---- sessions

    def rules_of(self, listener: str) -> Listener | None:
        """Return a listener's rules, or None if the policy no longer has it: its socket is being closed."""
        return self.policy.listeners.get(listener)

    def is_proxy(self, rules: Listener, address: str) -> bool:
        """Whether connections from an address must begin with a PROXY header."""
        ip = ip_address(address)
        return any(ip in network for network in rules.proxy_from)

    def judge_session(self, open_sessions: int, *, draining: bool) -> Refusal | None:
        """Return why no session is begun, or None. open_sessions: this one included."""
        if draining:
            return _ENDING
        if open_sessions > self.policy.limits.connections:
            return _TOO_MANY_CONNECTIONS
        return None if self._broker_takes() else _NO_BROKER

    def refuse_session(self, session: Session, refusal: Refusal) -> Reply:
        """Note that a session is refused or ended, and return the last reply."""
        refusal_id = new_id()
        reply = refusal.reply_with(refusal_id)
        metrics.REFUSALS.labels(refusal.reason.value).inc()
        self._events.tell(
            refusal_id,
            EventKind.SESSION_REFUSED,
            client=session.address,
            listener=session.listener,
            reply=str(reply),
            reason=refusal.reason.value,
        )
        _log.info("session-refused", id=refusal_id, client=session.address, reason=refusal.reason.value)
        return reply

    def note_bad_line(self, session: Session, reply: Reply) -> None:
        """Note a session that ended by a line that no client may send."""
        _log.info("bad-line", client=session.address, listener=session.listener, reply=str(reply))

    # ---- commands

    def handle_MAIL(self, session: Session, sender: str, declared_size: int) -> Reply | None:  # noqa: N802
        """Return why MAIL is refused, or None."""
        refusal = None if self._broker_takes() else _NO_BROKER_NOW
        refusal = refusal or judge_sender(session, sender)
        if refusal is None:
            refusal = judge_declared_size(declared_size, self.policy.limits.message_size_bytes, self._budget.room)
        return self.refuse(session, "MAIL", refusal, sender=sender) if refusal else None

    def handle_RCPT(self, session: Session, tx: Transaction, address: Address) -> tuple[Address, Reply | None]:  # noqa: N802
        """Return the recipient with its domain, and why it is refused, if it is."""
        policy = self.policy
        address = complete(address, policy, self.hostname)
        refusal = judge_recipient(session, policy, address, len(tx.recipients))
        if refusal is None:
            return address, None
        return address, self.refuse(session, "RCPT", refusal, sender=tx.sender or "", recipient=str(address))

    def handle_client(self, session: Session) -> Reply | None:
        """Return why the session may not send at all, or None, by the policy in force now."""
        policy = self.policy
        session.rules = policy.listeners.get(session.listener, session.rules)
        session.on_relay_list = session.rules.purpose is not Purpose.SUBMISSION and _listed(policy, session.address)
        refusal = judge_client(session)
        return self.refuse(session, "MAIL", refusal) if refusal else None

    def refuse(
        self,
        session: Session,
        command: str,
        refusal: Refusal,
        *,
        refusal_id: str | None = None,
        sender: str = "",
        recipient: str = "",
        login: str | None = None,
    ) -> Reply:
        """Note that a command is refused, and return the reply with the id that tells why."""
        refusal_id = refusal_id or new_id()
        reply = refusal.reply_with(refusal_id)
        metrics.REFUSALS.labels(refusal.reason.value).inc()
        self._events.tell(
            refusal_id,
            EventKind.COMMAND_REFUSED,
            client=session.address,
            listener=session.listener,
            helo=session.host_name,
            command=command,
            sender=sender,
            recipient=recipient,
            reply=str(reply),
            reason=refusal.reason.value,
            login=login or session.login,
        )
        _log.info(
            "command-refused", id=refusal_id, client=session.address, command=command, reason=refusal.reason.value
        )
        return reply

    # ---- messages

    def open_message(self, session: Session, tx: Transaction) -> Message:
        """Begin to receive a message: it has its id and our trace fields from here on."""
        message_id, received_at = new_id(), time.time()
        fields = head(message_id, self.hostname, session, tx, received_at=received_at, loop_key=self._loop_key)
        content = Content(fields, self.policy.limits.message_size_bytes, self._budget)
        return Message(message_id, received_at, content)

    async def handle_DATA(self, session: Session, tx: Transaction, message: Message) -> Reply:  # noqa: N802
        """Take a whole message, or say why not: decide, publish, wait for the verdict. Returns the final reply."""
        try:
            facts = read_header(message.content.octets, message.content.head_size)
            return self._refuse_message(session, tx, message, facts) or await self._hand_on(session, tx, message, facts)
        finally:
            message.content.close()

    def _refuse_message(self, session: Session, tx: Transaction, message: Message, facts: HeaderFacts) -> Reply | None:
        flaw = message.content.flaw
        refusal = refusal_of(flaw) if flaw else None
        if refusal is None:
            recipients = [recipient.address for recipient in tx.recipients]
            refusal = judge_loop(facts, recipients, self.policy.limits.received_fields, self._loop_key)
        if refusal is None:
            return None
        return self.refuse(
            session,
            "DATA",
            refusal,
            refusal_id=message.id,
            sender=tx.sender or "",
            recipient=", ".join(recipient.address for recipient in tx.recipients[:10]),
        )

    async def _hand_on(self, session: Session, tx: Transaction, message: Message, facts: HeaderFacts) -> Reply:
        envelope = self._envelope(session, tx, message)
        token = secrets.token_hex(16)
        try:
            headers = mail_headers(envelope, ReplyTo(self._process_key, token))
        except EnvelopeTooLarge:
            return self.refuse(session, "DATA", _ENVELOPE_TOO_LARGE, refusal_id=message.id, sender=envelope.sender)
        self._tell_received(session, envelope, facts)
        self._verdicts.begin(message.id, token)
        started = time.monotonic()
        try:
            await self._publish(message, headers)
        except PublishError as error:
            reply = Reply(error.reply.code, error.reply.enhanced, f"{error.reply.text} [{message.id}]")
            self._verdicts.settle(message.id, reply, f"none: not stored ({error.kind})")
            _log.warning("message-not-stored", id=message.id, cause=error.reason)
            return self._answered(message.id, reply, f"none: not stored ({error.kind})", started)
        except BaseException:
            self._verdicts.settle(message.id, _NO_BROKER_NOW.reply, "none: not stored")
            raise
        # It is safe: neither memory nor budget is held while the verdict is awaited.
        message.content.close()
        answer = await self._verdicts.confirmed(message.id, self.policy.verdict.deadline_s)
        return self._answered(message.id, answer.reply, answer.verdict, started)

    def _answered(self, message_id: str, reply: Reply, verdict: str, started: float) -> Reply:
        waited_s = time.monotonic() - started
        metrics.WAITED.observe(waited_s)
        metrics.ANSWERS.labels(verdict, reply.code).inc()
        self._events.tell(
            message_id, EventKind.ANSWERED, reply=str(reply), waited_s=round(waited_s, 4), verdict=verdict
        )
        _log.info("message-answered", id=message_id, code=reply.code, verdict=verdict, waited_s=round(waited_s, 4))
        return reply

    async def _publish(self, message: Message, headers: dict[str, str]) -> None:
        size, octets = len(message.content.octets), message.content.octets
        if size <= LARGE_BYTES:
            await self._put(message.id, size, octets, headers)
            return
        try:
            async with asyncio.timeout(PUBLISH_DEADLINE_S):
                await self._one_large.acquire()
        except TimeoutError:
            raise PublishError(PublishFailure.UNAVAILABLE, "other large messages are still being published") from None
        try:
            await self._put(message.id, size, octets, headers)
        finally:
            self._one_large.release()

    async def _put(self, message_id: str, size: int, octets: bytearray, headers: dict[str, str]) -> None:
        await self._publisher.publish(
            Exchange.CONTENT.value,
            content_key(size).value,
            octets,
            headers=headers,
            message_type=MAIL_TYPE,
            message_id=message_id,
            deadline_s=PUBLISH_DEADLINE_S,
        )

    def _envelope(self, session: Session, tx: Transaction, message: Message) -> Envelope:
        outbound = session.may_relay or session.rules.direction is Direction.OUTBOUND
        proved = Proof.LOGIN if session.account else Proof.RELAY_LIST if session.on_relay_list else None
        octets = message.content.octets
        return Envelope(
            id=message.id,
            received_at=message.received_at,
            listener=session.listener,
            direction=Direction.OUTBOUND if outbound else Direction.INBOUND,
            client=Client(
                address=session.address,
                port=session.port,
                helo=session.host_name,
                esmtp=session.extended_smtp,
                tls=session.tls,
                login=session.login,
            ),
            sender=tx.sender or "",
            recipients=tuple(tx.recipients),
            size_bytes=len(octets),
            # Many clients send 8-bit octets without saying so; the next hop is told the truth (RFC 6152 §3).
            body=Body.SEVEN_BIT if octets.isascii() else Body.EIGHT_BIT,
            smtputf8=tx.smtputf8,
            ret=tx.ret,
            envid=tx.envid,
            proved=proved,
        )

    def _tell_received(self, session: Session, envelope: Envelope, facts: HeaderFacts) -> None:
        metrics.RECEIVED_BYTES.inc(envelope.size_bytes)
        self._events.tell(
            envelope.id,
            EventKind.RECEIVED,
            client=session.address,
            listener=session.listener,
            helo=session.host_name,
            tls=session.tls,
            login=session.login,
            sender=envelope.sender,
            recipients=[recipient.address for recipient in envelope.recipients],
            size_bytes=envelope.size_bytes,
            subject=facts.subject,
            message_id=facts.message_id,
        )


def _listed(policy: Policy, address: str) -> bool:
    return bool(policy.relay.networks) and policy.relay.allows(address)
