"""A mail's way through content (I/O): examine, tell edge, learn what was said, carry out, acknowledge.

Owns: the order of DESIGN §4, steps 2 to 5. A message is acked only after its copies are confirmed downstream, or
after edge has said 4xx or 5xx, for then the sender still has it.
On failure: what raises is handed back to the queue by the consumer; after two redeliveries the message takes the
queue for suspects, where it can hold up nobody; after fifty the broker moves it to quarantine as `poison`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog
from prometheus_client import Counter, Histogram

from services.content.brake import Brake
from services.content.carry_out import CarryOut, Examined
from services.content.conversation import STILL_WAITING, Conversation
from services.content.decide import common_verdict, decide
from services.content.dmarc_facts import dmarc_seen
from services.content.examine import Examination, Examiner
from services.content.finding import finding_facts
from services.content.rulebook import RuleBook
from shared import tracing
from shared.broker.consume import Delivery
from shared.broker.events import EventSender
from shared.broker.in_force import PolicyInForce
from shared.broker.publish import Publisher
from shared.broker.topology import MAY_RELEASE, SUSPECT_AFTER_REDELIVERIES, Exchange, Key, Queue, content_key
from shared.dmarc_seen import seen_facts
from shared.envelope import Envelope
from shared.event import EventKind, Stage
from shared.verdict import Action, Verdict, reply_to, verdict_facts
from shared.wire import (
    MAIL_TYPE,
    QUARANTINE,
    Judgement,
    QuarantineNote,
    ReplyTo,
    WireError,
    encode_note,
    judgement_of,
    mail_headers,
    read_envelope,
    read_reply_to,
)

_log = structlog.get_logger()
_judged = Counter("gatepost_content_verdicts_total", "Verdicts by action", ["action"])
_dropped = Counter("gatepost_content_dropped_total", "Messages whose sender keeps them: edge had said 4xx or 5xx")
_took = Histogram("gatepost_content_examination_seconds", "Time from taking a message to its verdict")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a mail's way needs; wired in `app`."""

    publisher: Publisher
    events: EventSender
    policy: PolicyInForce
    conversation: Conversation
    examiner: Examiner
    brake: Brake
    carry_out: CarryOut


class Books:
    """The rule book of the policy in force, made anew when that changes."""

    def __init__(self, policy: PolicyInForce) -> None:
        self._policy = policy
        self._book: RuleBook | None = None

    def current(self) -> RuleBook:
        """Return it."""
        if self._book is None or self._book.policy is not self._policy.policy:
            self._book = RuleBook(self._policy.policy, self._policy.version)
        return self._book


class MailConsumer:
    """Handles the deliveries of one content queue."""

    def __init__(self, parts: Parts, queue: Queue) -> None:
        self._parts = parts
        self._books = Books(parts.policy)
        self._suspects = queue is Queue.CONTENT_SUSPECT
        self._ordinary = queue is Queue.CONTENT

    async def __call__(self, delivery: Delivery) -> None:
        """Take one delivery to its end. Raises what fails on the way (PublishError and the unknown)."""
        if delivery.stale:
            return
        try:
            envelope = read_envelope(delivery.message_type, delivery.headers)
            edge = read_reply_to(delivery.headers)
        except WireError as error:
            await self._set_aside(delivery, str(error))
            return
        if envelope.bypass and (edge is not None or delivery.user not in MAY_RELEASE):
            # Only a release names rules to be passed, and nobody waits for its verdict: this one is edge's.
            _log.error("bypass-refused", id=envelope.id, bypass=envelope.bypass, user=delivery.user)
            envelope = replace(envelope, bypass=(), released_by="")
        if not self._suspects and delivery.deliveries >= SUSPECT_AFTER_REDELIVERIES:
            _log.warning("message-suspect", id=envelope.id, deliveries=delivery.deliveries)
            await self._move(delivery, envelope, edge, Key.SUSPECT)
            return
        # The retry ladder leads back to the ordinary queue, whose prefetch is too high for large messages.
        if self._ordinary and content_key(len(delivery.body)) is Key.LARGE:
            await self._move(delivery, envelope, edge, Key.LARGE)
            return
        put_off = envelope.retry.attempts
        # What is delivered again has been begun before, and a span's id stands for one of them alone.
        visit = None if delivery.redelivered else put_off
        with tracing.mail(Stage.CONTENT, envelope.id, visit=visit, goes_on=put_off > 0) as work:
            work.note(put_off=put_off, redelivered=delivery.redelivered, size_bytes=len(delivery.body))
            await self._judge(delivery, envelope, edge)

    async def _judge(self, delivery: Delivery, envelope: Envelope, edge: ReplyTo | None) -> None:
        parts = self._parts
        # DESIGN §4, 5: a redelivered message asks first; its client may have had an answer long ago.
        if edge is not None and (delivery.redelivered or self._suspects):
            with tracing.span("ask what edge said"):
                said = await parts.conversation.ask(
                    Judgement(envelope.id, parts.conversation.said_key, edge.token), edge.key
                )
            if said >= 400:
                await self._drop(delivery, envelope, said)
                return
            if said != STILL_WAITING:
                edge = None
        began = time.perf_counter()
        book = self._books.current()
        with tracing.span("examine"):
            examination = await parts.examiner.examine(envelope, delivery.body, book)
        verdicts = decide(examination.findings, book, envelope, examination.mail)
        answer = common_verdict(verdicts)
        tracing.at_hand().note(verdict=answer.action.value)
        took_s = time.perf_counter() - began
        _took.observe(took_s)
        self._tell(envelope, examination, verdicts, book.version, took_s)
        if book.policy.dmarc_reports.enabled:
            for seen in dmarc_seen(envelope, examination.authenticity, verdicts):
                parts.events.tell(envelope.id, EventKind.DMARC_SEEN, **seen_facts(seen))
        if not delivery.redelivered:
            await parts.brake.count(envelope, verdicts.values(), book.policy.brake)
        if edge is not None:
            with tracing.span("tell edge") as told:
                said = await self._answer(envelope, edge, answer)
                told.note(said=said)
            if said >= 400:
                await self._drop(delivery, envelope, said)
                return
        if delivery.stale:
            # It comes again, to be carried out then: twice would be a duplicate.
            return
        examined = Examined(envelope, delivery.body, examination.results, examination.proved)
        with tracing.span("carry out"):
            await parts.carry_out(examined, verdicts, book.policy)
        await delivery.ack()

    async def _answer(self, envelope: Envelope, edge: ReplyTo, answer: Verdict) -> int:
        conversation = self._parts.conversation
        reply = reply_to(answer, envelope.id)
        return await conversation.ask(
            judgement_of(envelope.id, conversation.said_key, edge.token, answer, reply), edge.key
        )

    async def _drop(self, delivery: Delivery, envelope: Envelope, said: int) -> None:
        _dropped.inc()
        self._parts.events.tell(
            envelope.id, EventKind.DROPPED, reason=f"edge told the client {said}: the sender keeps the message"
        )
        await delivery.ack()

    def _tell(
        self,
        envelope: Envelope,
        examination: Examination,
        verdicts: Mapping[str, Verdict],
        version: int,
        took_s: float,
    ) -> None:
        tell: Callable[..., None] = self._parts.events.tell
        tell(
            envelope.id,
            EventKind.CHECKED,
            findings=list(map(finding_facts, examination.findings)),
        )
        facts = {domain: verdict_facts(verdict) for domain, verdict in verdicts.items()}
        tell(
            envelope.id,
            EventKind.JUDGED,
            verdicts=facts,
            policy_version=version,
            took_ms=round(took_s * 1000, 2),
        )
        for domain, verdict in verdicts.items():
            _judged.labels(verdict.action.value).inc()
            # What was accepted is in the trace; a line for each would cost as much as a check.
            if verdict.action is not Action.ACCEPT:
                _log.info("verdict", id=envelope.id, domain=domain, policy_version=version, **facts[domain])

    async def _move(self, delivery: Delivery, envelope: Envelope, edge: ReplyTo | None, key: Key) -> None:
        await self._parts.publisher.publish(
            Exchange.CONTENT.value,
            key.value,
            delivery.body,
            headers=mail_headers(envelope, edge),
            message_type=MAIL_TYPE,
            message_id=envelope.id,
        )
        await delivery.ack()

    async def _set_aside(self, delivery: Delivery, cause: str) -> None:
        """Store what is no mail of ours in quarantine, where a person finds it."""
        _log.error("message-unreadable", id=delivery.message_id, cause=cause)
        note = QuarantineNote("unreadable", cause)
        await self._parts.publisher.publish(
            Exchange.QUARANTINE.value,
            Key.QUARANTINE.value,
            delivery.body,
            headers={QUARANTINE: encode_note(note)},
            message_type=delivery.message_type or "",
        )
        await delivery.ack()
