"""A whole message's way into the broker, and its answer.

Owns: building the envelope, publishing, waiting for the verdict.
On failure: a publish without a confirm is 451 or 452, never 250, and the answer is remembered, for the message may be
there all the same.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

import structlog

from services.edge import metrics
from services.edge.data import Content
from services.edge.header import HeaderFacts
from services.edge.ports import PublisherPort
from services.edge.session import Session, Transaction
from services.edge.verdicts import Verdicts
from services.edge.waiting import Answer
from shared import tracing
from shared.broker.ports import EventsPort, PolicyPort
from shared.broker.publish import PublishError, PublishFailure
from shared.broker.topology import LARGE_BYTES, Exchange, content_key
from shared.envelope import Body, Client, Direction, Envelope
from shared.errors import LOCAL_ERROR
from shared.event import EventKind
from shared.reply import Reply
from shared.wire import MAIL_TYPE, ReplyTo, mail_headers

_log = structlog.get_logger()
# The client waits meanwhile; an alarm of the broker is not over sooner.
PUBLISH_DEADLINE_S = 8.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is being received."""

    id: str
    received_at: float
    content: Content


class Handover:
    """The way of all messages of this process. process_key: where their verdicts come to."""

    def __init__(
        self, *, process_key: str, policy: PolicyPort, publisher: PublisherPort, events: EventsPort, verdicts: Verdicts
    ) -> None:
        self._process_key = process_key
        self._policy = policy
        self._publisher = publisher
        self._events = events
        self._verdicts = verdicts
        # AMQP frames copy a message several times over: large ones go one after the other.
        self._one_large = asyncio.Lock()

    async def hand_on(self, session: Session, tx: Transaction, message: Message, facts: HeaderFacts) -> Answer:
        """Publish, wait for the verdict, return the answer. Raises EnvelopeTooLarge; nothing is published then."""
        envelope = _envelope(session, tx, message)
        token = secrets.token_hex(16)
        headers = mail_headers(envelope, ReplyTo(self._process_key, token))
        self._tell_received(session, envelope, facts)
        self._verdicts.begin(message.id, token)
        started = time.monotonic()
        _note(envelope)
        try:
            with tracing.span("hand over"):
                await self._publish(message, headers)
        except PublishError as error:
            reply = Reply(error.reply.code, error.reply.enhanced, f"{error.reply.text} [{message.id}]")
            self._verdicts.settle(message.id, reply, f"none: not stored ({error.kind})")
            _log.warning("message-not-stored", id=message.id, cause=error.reason)
            return self._answered(Answer(message.id, reply, f"none: not stored ({error.kind})"), started)
        except BaseException:
            self._verdicts.settle(message.id, LOCAL_ERROR, "none: not stored")
            raise
        # It is safe: neither memory nor budget is held while the verdict is awaited.
        message.content.close()
        with tracing.span("wait for the verdict") as waiting:
            answer = await self._verdicts.confirmed(message.id, self._policy.policy.verdict.deadline_s)
            waiting.note(verdict=answer.verdict)
        return self._answered(answer, started)

    def _answered(self, answer: Answer, started: float) -> Answer:
        message_id, reply, verdict = answer.id, answer.reply, answer.verdict
        waited_s = time.monotonic() - started
        metrics.WAITED.observe(waited_s)
        metrics.ANSWERS.labels(verdict, reply.code).inc()
        self._events.tell(
            message_id, EventKind.ANSWERED, reply=str(reply), waited_s=round(waited_s, 4), verdict=verdict
        )
        # A line per accepted message costs a tenth of edge's time, and says what the trace says: at level debug only.
        log = _log.debug if reply.positive else _log.info
        log("message-answered", id=message_id, code=reply.code, verdict=verdict, waited_s=round(waited_s, 4))
        return answer

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


def _note(envelope: Envelope) -> None:
    work = tracing.at_hand()
    if work.is_traced:
        work.note(
            direction=envelope.direction.value,
            sender_domain=envelope.sender.rpartition("@")[2],
            domains=tuple({recipient.domain: None for recipient in envelope.recipients}),
            recipients=len(envelope.recipients),
            size_bytes=envelope.size_bytes,
            tls=envelope.client.tls or "none",
            logged_in=envelope.client.login is not None,
        )


def _envelope(session: Session, tx: Transaction, message: Message) -> Envelope:
    outbound = session.may_relay or session.rules.direction is Direction.OUTBOUND
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
            name=session.name or None,
            tls=session.tls,
            login=session.login,
        ),
        sender=tx.sender or "",
        recipients=tuple(tx.recipients),
        size_bytes=len(octets),
        # Many clients send 8-bit octets without saying so; the next hop is told the truth (RFC 6152 §3).
        body=Body.SEVEN_BIT if octets.isascii() else Body.EIGHT_BIT,
        smtputf8=tx.smtputf8,
        requiretls=tx.requiretls,
        ret=tx.ret,
        envid=tx.envid,
        proved=session.relay_proof,
    )
