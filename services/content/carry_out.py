"""Carrying a verdict out (I/O over the broker): to delivery, quarantine or the retry ladder.

Owns: which recipients' copy goes where, and in which form: quarantine and the ladder keep the exact bytes.
Input: the examined message and a verdict per domain.
On failure: PublishError; nothing was acked, so the message comes again, and with it at worst a duplicate.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from services.content.mark import marked_message
from shared.broker.ports import EventsPort, MailPublisher
from shared.broker.topology import CONTENT_RUNGS_S, Exchange, Key, Queue, retry_queue
from shared.envelope import Envelope, Proof, Recipient
from shared.event import EventKind
from shared.policy import Policy
from shared.verdict import Action, CheckName, Reason, Verdict
from shared.wire import MAIL_TYPE, QuarantineNote, mail_headers

_log = structlog.get_logger()

# Larger messages are put together in a thread, so that the event loop answers meanwhile.
_THREAD_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Examined:
    """A message after all checks. message: as it came. results: of our Authentication-Results, empty for none.

    proved: why its sender is proved.
    """

    envelope: Envelope
    message: bytes
    results: str
    proved: Proof | None


class CarryOut:
    """The last step of a message in content. authserv_id: our name in Authentication-Results."""

    def __init__(self, publisher: MailPublisher, events: EventsPort, authserv_id: str) -> None:
        self._publisher = publisher
        self._events = events
        self._authserv_id = authserv_id

    async def __call__(self, examined: Examined, verdicts: Mapping[str, Verdict], policy: Policy) -> None:
        """Hand each group of recipients on, each with a confirm. Raises PublishError."""
        for verdict, recipients in _groups(examined.envelope, verdicts):
            envelope = replace(
                examined.envelope,
                recipients=recipients,
                verdict=verdict,
                proved=examined.proved,
                results=examined.results,
                bypass=(),
            )
            match verdict.action:
                case Action.ACCEPT | Action.TAG:
                    await self._let_through(envelope, verdict, examined.message, policy)
                case Action.QUARANTINE | Action.REFUSE:
                    note = _note(verdict.action.value, verdict.reasons[0])
                    await self.quarantine(envelope, examined.message, note)
                case Action.DEFER:
                    await self._again_later(
                        replace(examined.envelope, recipients=recipients), verdict, examined, policy
                    )

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

    async def _let_through(self, envelope: Envelope, verdict: Verdict, message: bytes, policy: Policy) -> None:
        try:
            marked = await self._marked(envelope, message, policy)
        except ValueError as error:
            _log.error("strip-failed", id=envelope.id, cause=str(error))
            decisive = _stripping(verdict)
            evidence = f"What the policy takes out could not be cut from the message. {decisive.evidence}"
            await self.quarantine(envelope, message, QuarantineNote("quarantine", evidence, decisive.check.value))
            return
        if verdict.strip:
            # First the whole one, so that nothing is lost if the other does not get through.
            await self.quarantine(envelope, message, _note("stripped", _stripping(verdict)))
        await self._deliver(envelope, marked)

    async def _marked(self, envelope: Envelope, message: bytes, policy: Policy) -> bytes:
        if len(message) > _THREAD_BYTES:
            return await asyncio.to_thread(marked_message, envelope, message, self._authserv_id, policy)
        return marked_message(envelope, message, self._authserv_id, policy)

    async def _deliver(self, envelope: Envelope, marked: bytes) -> None:
        # From here on the message itself bears the results.
        envelope = replace(envelope, size_bytes=len(marked), results="")
        await self._publish(Exchange.DELIVERY, Key.DELIVERY, envelope, marked)
        self._events.tell(envelope.id, EventKind.QUEUED, to="delivery", recipients=_addresses(envelope))

    async def _again_later(self, envelope: Envelope, verdict: Verdict, examined: Examined, policy: Policy) -> None:
        now = time.time()
        attempts = envelope.retry.attempts + 1
        reason = verdict.reasons[0].evidence if verdict.reasons else ""
        if now - envelope.received_at > policy.retry.lifetime_s:
            note = QuarantineNote("undecided", f"No check came to a result in time. {reason}")
            held = replace(envelope, verdict=verdict, proved=examined.proved, results=examined.results)
            await self.quarantine(held, examined.message, note)
            return
        # One rung further each time; the last one repeats.
        wait_s = CONTENT_RUNGS_S[min(attempts, len(CONTENT_RUNGS_S)) - 1]
        retry = replace(envelope.retry, attempts=attempts, not_before=now + wait_s, last_reply=reason)
        rung = retry_queue(Queue.CONTENT, wait_s)
        await self._publish(Exchange.CONTENT_RETRY, rung, replace(envelope, retry=retry), examined.message)
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


def _note(reason: str, decisive: Reason) -> QuarantineNote:
    return QuarantineNote(reason, decisive.evidence, decisive.check.value)


def _stripping(verdict: Verdict) -> Reason:
    """Return the reason for which parts are taken out: the first that asks for a tag and speaks of attachments."""
    return next((one for one in verdict.reasons if one.check is CheckName.ATTACHMENTS), verdict.reasons[0])


def _groups(envelope: Envelope, verdicts: Mapping[str, Verdict]) -> list[tuple[Verdict, tuple[Recipient, ...]]]:
    """Return the recipients by verdict, in their order; domains with equal verdicts share one copy."""
    groups: dict[Verdict, list[Recipient]] = {}
    for recipient in envelope.recipients:
        groups.setdefault(verdicts[recipient.domain], []).append(recipient)
    return [(verdict, tuple(recipients)) for verdict, recipients in groups.items()]


def _addresses(envelope: Envelope) -> list[str]:
    return [recipient.address for recipient in envelope.recipients]
