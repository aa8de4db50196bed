"""What edge decides about sessions, commands and messages.

Owns: applying the rules of `decide/` by the policy in force, and giving each refusal its id and its event.
Output: the reply of a refusal, or None; for a whole message always the final reply.
"""

import time
from collections.abc import Callable
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
from services.edge.handover import Handover, Message
from services.edge.header import HeaderFacts, read_header
from services.edge.limits import ByteBudget
from services.edge.session import Session, Transaction
from services.edge.trace import head
from shared.address import Address
from shared.broker.ports import EventsPort, PolicyPort
from shared.event import EventKind
from shared.ids import new_id
from shared.policy import Listener, Policy, Purpose
from shared.reply import Reply
from shared.wire import EnvelopeTooLarge

_log = structlog.get_logger()

_TOO_MANY_CONNECTIONS = refuse(
    RefusalReason.TOO_MANY_CONNECTIONS, 421, "4.7.0", "Too many connections, try again later"
)
_NO_BROKER = refuse(RefusalReason.BROKER_UNAVAILABLE, 421, "4.3.2", "Service not available, try again later")
_NO_BROKER_NOW = refuse(RefusalReason.BROKER_UNAVAILABLE, 451, "4.3.2", "Service not available, try again later")
_ENDING = refuse(RefusalReason.SHUTTING_DOWN, 421, "4.3.2", "Service shutting down, try again later")
_ENVELOPE_TOO_LARGE = refuse(RefusalReason.ENVELOPE_TOO_LARGE, 452, "4.5.3", "Too many recipients for one message")


class EdgeHandler:
    """The hooks of all sessions of this process."""

    def __init__(
        self,
        *,
        hostname: str,
        loop_key: bytes,
        policy: PolicyPort,
        handover: Handover,
        events: EventsPort,
        verifier: PasswordVerifier,
        budget: ByteBudget,
        broker_takes: Callable[[], bool],
    ) -> None:
        self.hostname = hostname
        self.verifier = verifier
        self._loop_key = loop_key
        self._policy = policy
        self._handover = handover
        self._events = events
        self._budget = budget
        self._broker_takes = broker_takes

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

    # ---- commands

    def handle_MAIL(self, session: Session, sender: str, declared_size: int) -> Reply | None:  # noqa: N802
        """Return why MAIL is refused, or None, by the policy in force now."""
        policy = self.policy
        session.rules = policy.listeners.get(session.listener, session.rules)
        session.on_relay_list = session.rules.purpose is not Purpose.SUBMISSION and _listed(policy, session.address)
        refusal = (
            (None if self._broker_takes() else _NO_BROKER_NOW)
            or judge_client(session)
            or judge_sender(session, sender)
            or judge_declared_size(declared_size, policy.limits.message_size_bytes, self._budget.room)
        )
        return self.refuse(session, "MAIL", refusal, sender=sender) if refusal else None

    def handle_RCPT(self, session: Session, tx: Transaction, address: Address) -> tuple[Address, Reply | None]:  # noqa: N802
        """Return the recipient with its domain, and why it is refused, if it is."""
        policy = self.policy
        address = complete(address, policy, self.hostname)
        refusal = judge_recipient(session, policy, address, len(tx.recipients))
        if refusal is None:
            return address, None
        return address, self.refuse(session, "RCPT", refusal, sender=tx.sender or "", recipient=str(address))

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
        """Take a whole message, or say why not. Returns the final reply."""
        try:
            facts = read_header(message.content.octets, message.content.head_size)
            if refusal := self._judge_message(tx, message, facts):
                return self._refuse_message(session, tx, message, refusal)
            try:
                return await self._handover.hand_on(session, tx, message, facts)
            except EnvelopeTooLarge:
                return self._refuse_message(session, tx, message, _ENVELOPE_TOO_LARGE)
        finally:
            message.content.close()

    def _judge_message(self, tx: Transaction, message: Message, facts: HeaderFacts) -> Refusal | None:
        if message.content.flaw is not None:
            return refusal_of(message.content.flaw)
        recipients = [recipient.address for recipient in tx.recipients]
        return judge_loop(facts, recipients, self.policy.limits.received_fields, self._loop_key)

    def _refuse_message(self, session: Session, tx: Transaction, message: Message, refusal: Refusal) -> Reply:
        return self.refuse(
            session,
            "DATA",
            refusal,
            refusal_id=message.id,
            sender=tx.sender or "",
            recipient=", ".join(recipient.address for recipient in tx.recipients[:10]),
        )


def _listed(policy: Policy, address: str) -> bool:
    return bool(policy.relay.networks) and policy.relay.allows(address)
