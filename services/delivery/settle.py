"""Carrying out what follows from an attempt (I/O: publishes).

Owns: retries, splits, notices and quarantine copies, each confirmed by the broker before the message is acknowledged by
the consumer; and the events that tell of them.
On failure: PublishError after a minute of trying; the message is then handed back and comes again. Trying on matters: a
recipient that has the message already would get it twice.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from services.delivery import metrics
from services.delivery.classify import FailureClass, bounce_class
from services.delivery.dsn import Reporter, write_dsn
from services.delivery.dsn_shorter import with_header_alone
from services.delivery.outcome import Outcome
from services.delivery.plan import Notice, Plan
from services.delivery.ports import Delivered
from services.delivery.retry import EARLY_S
from services.delivery.route import Part
from shared.broker.ports import EventsPort, MailPublisher
from shared.broker.publish import PublishError
from shared.broker.topology import DELIVERY_RUNGS_S, Exchange, Key, Queue, retry_queue, rung_for
from shared.envelope import Envelope
from shared.event import EventKind
from shared.ids import new_id
from shared.policy import RetryRules
from shared.wire import ENVELOPE, MAIL_TYPE, QUARANTINE, QuarantineNote, encode_note, mail_headers

_log = structlog.get_logger()
_PERSIST_S = 60.0
_PAUSE_S = 1.0


class Settlement:
    """Puts plans into effect."""

    def __init__(self, publisher: MailPublisher, events: EventsPort, our_name: str) -> None:
        self._publisher = publisher
        self._events = events
        self._our_name = our_name

    async def carry_out(self, plan: Plan, envelope: Envelope, message: bytes, hop: str, rules: RetryRules) -> None:
        """Publish what a plan asks for. Raises PublishError."""
        if plan.shorter is not None and (shorter := with_header_alone(plan.shorter, message)) is not None:
            await self._again_shorter(*shorter, hop)
            return
        self._tell_ends(plan, envelope, hop)
        for notice in plan.notices:
            await self.report(notice, envelope, message, rules)
        if plan.withheld is not None:
            metrics.WITHHELD.labels(plan.withheld.value).inc()
            self._events.tell(envelope.id, EventKind.DSN_WITHHELD, reason=plan.withheld.value)
        if plan.quarantined:
            await self._quarantine(plan.quarantined, envelope, message)
        if plan.retry is not None:
            await self.park(plan.retry, message, plan.delay_s)
            self._tell_retry(plan, plan.retry, envelope, hop)

    async def park(self, envelope: Envelope, message: bytes, wait_s: float) -> None:
        """Put a message on the rung of the ladder that fits a wait. Raises PublishError."""
        rung = retry_queue(Queue.DELIVERY, rung_for(wait_s + EARLY_S, DELIVERY_RUNGS_S))
        await self._publish(Exchange.DELIVERY_RETRY, rung, message, mail_headers(envelope), envelope.id)

    async def _again_shorter(self, notice: Envelope, message: bytes, hop: str) -> None:
        retry = notice.retry
        await self._publish(Exchange.DELIVERY, Key.DELIVERY, message, mail_headers(notice), notice.id)
        self._events.tell(
            notice.id,
            EventKind.RETRY,
            attempts=retry.attempts,
            not_before=time.time(),
            reason=f"{retry.last_reply}; it goes again with the header of the message that it is about",
            hop=hop,
            failure=FailureClass.CONTENT.value,
        )

    async def split(self, envelope: Envelope, message: bytes, parts: Sequence[Part]) -> None:
        """Publish a message once per part. Raises PublishError."""
        await self.divide(
            envelope, message, [replace(envelope, hop=part.hop.key, recipients=part.recipients) for part in parts]
        )

    async def divide(self, envelope: Envelope, message: bytes, parts: Sequence[Envelope]) -> None:
        """Publish a message once per envelope, each with an id of its own. Raises PublishError."""
        copies = self.copies(envelope, parts)
        for copy in copies:
            await self._publish(Exchange.DELIVERY, Key.DELIVERY, message, mail_headers(copy), copy.id)
        self.tell_split(envelope, copies)

    def copies(self, envelope: Envelope, parts: Sequence[Envelope]) -> list[Envelope]:
        """Return the envelopes of the messages that a message is split into."""
        # A part of a part is one of the whole, by whose id orders reach it; a report's parent is what it is about.
        parent = envelope.parent if envelope.parent and envelope.sender else envelope.id
        return [replace(part, id=new_id(), parent=parent) for part in parts]

    def tell_split(self, envelope: Envelope, copies: Sequence[Envelope]) -> None:
        """Tell which messages a message was split into."""
        metrics.SPLITS.inc()
        into = [{"id": copy.id, "hop": copy.hop or "", "recipients": _addresses(copy)} for copy in copies]
        self._events.tell(envelope.id, EventKind.SPLIT, into=into)

    async def unreadable(self, delivery: Delivered, cause: str) -> None:
        """Put what is no mail of ours into quarantine as it came, with a note. Raises PublishError."""
        note = QuarantineNote("unreadable", cause[:2000])
        headers = {QUARANTINE: encode_note(note)}
        raw = delivery.headers.get(ENVELOPE)
        if isinstance(raw, bytes | str):
            headers[ENVELOPE] = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        message_id = delivery.message_id or new_id()
        kind = delivery.message_type or ""
        await self._publish(Exchange.QUARANTINE, Key.QUARANTINE, delivery.body, headers, message_id, message_type=kind)
        self._tell_quarantined(message_id, note, [])

    def _tell_ends(self, plan: Plan, envelope: Envelope, hop: str) -> None:
        if plan.delivered:
            self._events.tell(
                envelope.id,
                EventKind.DELIVERED,
                hop=hop,
                recipients=[outcome.recipient.address for outcome in plan.delivered],
                reply=str(plan.delivered[0].reply),
            )
        for (reply, bounce), recipients in _by_reply(plan.failed).items():
            reason = "refused for good" if reply.startswith("5") else "given up: the lifetime is over"
            metrics.BOUNCES.labels(bounce).inc(len(recipients))
            facts = {"recipients": recipients, "reply": reply, "reason": reason, "bounce": bounce}
            self._events.tell(envelope.id, EventKind.FAILED, **facts)

    def _tell_retry(self, plan: Plan, again: Envelope, envelope: Envelope, hop: str) -> None:
        retry = again.retry
        if plan.failure is not None:
            metrics.PUT_OFF.labels(plan.failure.value).inc()
        elif retry.last_reply == envelope.retry.last_reply:
            # No attempt, and told once why: a message may come by many times.
            return
        self._events.tell(
            envelope.id,
            EventKind.RETRY,
            attempts=retry.attempts,
            not_before=plan.not_before,
            reason=retry.last_reply,
            hop=hop,
            failure=plan.failure.value if plan.failure is not None else "",
        )

    async def report(self, notice: Notice, envelope: Envelope, message: bytes, rules: RetryRules) -> None:
        """Write a DSN and publish it. Raises PublishError."""
        reporter = Reporter(self._our_name, time.time(), rules.lifetime_s)
        about, dsn = write_dsn(notice, envelope, message, reporter, new_id())
        await self._publish(Exchange.DELIVERY, Key.DELIVERY, dsn, mail_headers(about), about.id)
        metrics.NOTICES.labels(notice.action.value).inc()
        self._events.tell(
            envelope.id, EventKind.DSN_SENT, dsn_id=about.id, action=notice.action.value, to=envelope.sender
        )

    async def _quarantine(self, outcomes: Sequence[Outcome], envelope: Envelope, message: bytes) -> None:
        kept = envelope.with_recipients(tuple(outcome.recipient for outcome in outcomes))
        note = QuarantineNote("undeliverable", str(outcomes[0].reply))
        await self._publish(Exchange.QUARANTINE, Key.QUARANTINE, message, mail_headers(kept, note=note), envelope.id)
        self._tell_quarantined(envelope.id, note, _addresses(kept))

    def _tell_quarantined(self, message_id: str, note: QuarantineNote, recipients: list[str]) -> None:
        metrics.QUARANTINED.labels(note.reason).inc()
        facts = {"reason": note.reason, "check": "", "evidence": note.evidence, "recipients": recipients}
        self._events.tell(message_id, EventKind.QUARANTINED, **facts)

    async def _publish(
        self,
        exchange: Exchange,
        key: str,
        body: bytes,
        headers: Mapping[str, str],
        message_id: str,
        *,
        message_type: str = MAIL_TYPE,
    ) -> None:
        give_up_at = time.monotonic() + _PERSIST_S
        while True:
            try:
                await self._publisher.publish(
                    exchange.value, str(key), body, headers=headers, message_type=message_type, message_id=message_id
                )
                return
            except PublishError as error:
                if time.monotonic() >= give_up_at:
                    raise
                _log.warning("publish-tried-again", id=message_id, exchange=exchange.value, cause=error.reason)
                await asyncio.sleep(_PAUSE_S)


def _addresses(envelope: Envelope) -> list[str]:
    return [recipient.address for recipient in envelope.recipients]


def _by_reply(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[str]]:
    """Return the addresses by what was said of them, and the class of that."""
    groups: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        key = (str(outcome.reply), bounce_class(outcome).value)
        groups.setdefault(key, []).append(outcome.recipient.address)
    return groups
