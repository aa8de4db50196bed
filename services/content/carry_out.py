"""Carrying a verdict out (I/O over the broker): to delivery, quarantine or the retry ladder.

Owns: which recipients' copy goes where. Input: the examined message and a verdict per domain.
On failure: PublishError; nothing was acked, so the message comes again, and with it at worst a duplicate.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.content.headers import tag_field
from shared.broker.ports import EventsPort, MailPublisher
from shared.broker.topology import CONTENT_RUNGS_S, Exchange, Key, Queue, retry_queue
from shared.envelope import Envelope, Proof, Recipient
from shared.event import EventKind
from shared.policy import Policy
from shared.verdict import Action, Verdict
from shared.wire import MAIL_TYPE, QuarantineNote, mail_headers


@dataclass(frozen=True, slots=True)
class Examined:
    """A message after all checks. original: as it came. marked: with our results on top. proved: why its sender is."""

    envelope: Envelope
    original: bytes
    marked: bytes
    proved: Proof | None


class CarryOut:
    """The last step of a message in content."""

    def __init__(self, publisher: MailPublisher, events: EventsPort) -> None:
        self._publisher = publisher
        self._events = events

    async def __call__(self, examined: Examined, verdicts: Mapping[str, Verdict], policy: Policy) -> None:
        """Hand each group of recipients on, each with a confirm. Raises PublishError."""
        for verdict, recipients in _groups(examined.envelope, verdicts):
            envelope = replace(examined.envelope, recipients=recipients, verdict=verdict, proved=examined.proved)
            match verdict.action:
                case Action.ACCEPT | Action.TAG:
                    await self._deliver(envelope, tag_field(verdict) + examined.marked)
                case Action.QUARANTINE | Action.REFUSE:
                    reason = verdict.reasons[0]
                    note = QuarantineNote(verdict.action.value, reason.evidence, reason.check.value)
                    await self.quarantine(envelope, examined.marked, note)
                case Action.DEFER:
                    await self._again_later(envelope, examined.original, policy)

    async def quarantine(self, envelope: Envelope, message: bytes, note: QuarantineNote) -> None:
        """Store a message in quarantine. Raises PublishError."""
        await self._publish(Exchange.QUARANTINE, Key.QUARANTINE, envelope, message, note)
        self._events.tell(
            envelope.id,
            EventKind.QUARANTINED,
            reason=note.reason,
            check=note.check,
            evidence=note.evidence,
            recipients=_addresses(envelope),
        )

    async def _deliver(self, envelope: Envelope, message: bytes) -> None:
        envelope = replace(envelope, size_bytes=len(message))
        await self._publish(Exchange.DELIVERY, Key.DELIVERY, envelope, message)
        self._events.tell(envelope.id, EventKind.QUEUED, to="delivery", recipients=_addresses(envelope))

    async def _again_later(self, envelope: Envelope, message: bytes, policy: Policy) -> None:
        now = time.time()
        attempts = envelope.retry.attempts + 1
        reason = envelope.verdict.reasons[0].evidence if envelope.verdict and envelope.verdict.reasons else ""
        if now - envelope.received_at > policy.retry.lifetime_s:
            note = QuarantineNote("undecided", f"No check came to a result in time. {reason}")
            await self.quarantine(envelope, message, note)
            return
        # One rung further each time; the last one repeats.
        wait_s = CONTENT_RUNGS_S[min(attempts, len(CONTENT_RUNGS_S)) - 1]
        retry = replace(envelope.retry, attempts=attempts, not_before=now + wait_s, last_reply=reason)
        rung = retry_queue(Queue.CONTENT, wait_s)
        await self._publish(Exchange.CONTENT_RETRY, rung, replace(envelope, retry=retry, verdict=None), message)
        self._events.tell(envelope.id, EventKind.RETRY, attempts=attempts, not_before=retry.not_before, reason=reason)

    async def _publish(
        self, exchange: Exchange, key: str, envelope: Envelope, message: bytes, note: QuarantineNote | None = None
    ) -> None:
        await self._publisher.publish(
            exchange.value,
            str(key),
            message,
            headers=mail_headers(envelope, note=note),
            message_type=MAIL_TYPE,
            message_id=envelope.id,
        )


def _groups(envelope: Envelope, verdicts: Mapping[str, Verdict]) -> list[tuple[Verdict, tuple[Recipient, ...]]]:
    """Return the recipients by verdict, in their order; domains with equal verdicts share one copy."""
    groups: dict[Verdict, list[Recipient]] = {}
    for recipient in envelope.recipients:
        groups.setdefault(verdicts[recipient.domain], []).append(recipient)
    return [(verdict, tuple(recipients)) for verdict, recipients in groups.items()]


def _addresses(envelope: Envelope) -> list[str]:
    return [recipient.address for recipient in envelope.recipients]
