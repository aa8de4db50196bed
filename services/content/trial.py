"""A trial's way through content (I/O): examine, judge, answer, and nothing else.

Owns: what an administrator's "what would this message meet today?" comes to. A trial is examined as mail is and by the
same rules, but no step of mail follows: this module has no way to delivery, quarantine or the retry ladder, tells no
event, counts nothing against an account, and has the antispam engine neither learn from it nor remember it.
Input: `gatepost.trial.v1` from a queue of its own. Output: `TrialAnswer` to whoever asks.
Decided here: a trial is answered at most once, and never tried twice: what has ended one process shall not end others.
On failure: told in the answer; where that cannot be sent either, nobody waits for it any longer than TRIAL_S.
"""

import asyncio
import time

import structlog
from prometheus_client import Counter

from services.content.consumer import Books
from services.content.decide import common_verdict, decide
from services.content.examine import Examiner
from services.content.finding import finding_facts
from shared.broker.consume import Delivery
from shared.broker.publish import Publisher, PublishError
from shared.broker.topology import Exchange
from shared.verdict import reply_to, verdict_facts
from shared.wire import WireError
from shared.wire_trial import TEXT_LIMIT, TRIAL_LIMIT_BYTES, TRIED_TYPE, Trial, TrialAnswer, encode_answer, read_trial

_log = structlog.get_logger()
_trials = Counter("gatepost_content_trials_total", "Messages judged for an administrator, and delivered to nobody")
_SEND_S = 3.0
# In the place of an id, which a trial has none of.
_NO_ID = "ID"


class TrialConsumer:
    """Handles the deliveries of the queue for trials."""

    def __init__(self, publisher: Publisher, books: Books, examiner: Examiner) -> None:
        self._publisher = publisher
        self._books = books
        self._examiner = examiner

    async def __call__(self, delivery: Delivery) -> None:
        """Answer one trial. Raises nothing but cancellation."""
        try:
            trial = read_trial(delivery.message_type, delivery.headers)
        except WireError as error:
            _log.warning("trial-unreadable", cause=str(error))
            await delivery.ack()
            return
        if not delivery.stale:
            answer = await self._answer(trial, delivery)
            await self._send(trial, answer)
        await delivery.ack()

    async def _answer(self, trial: Trial, delivery: Delivery) -> TrialAnswer:
        name = trial.envelope.id
        if delivery.redelivered:
            return TrialAnswer(name, problem="the content process that began to examine it has ended meanwhile")
        if len(delivery.body) > TRIAL_LIMIT_BYTES:
            return TrialAnswer(name, problem=f"it has more than {TRIAL_LIMIT_BYTES} octets")
        _trials.inc()
        try:
            return await self._judged(trial, delivery.body)
        except Exception as error:  # whoever asks learns of it at once, and the next trial goes on
            _log.exception("trial-failed", id=name)
            return TrialAnswer(name, problem=f"content failed over it: {type(error).__name__}"[:TEXT_LIMIT])

    async def _judged(self, trial: Trial, message: bytes) -> TrialAnswer:
        envelope = trial.envelope
        began = time.perf_counter()
        book = self._books.current()
        examination = await self._examiner.examine(envelope, message, book, trial=True)
        verdicts = decide(examination.findings, book, envelope, examination.mail)
        common = common_verdict(verdicts)
        _log.info("trial", id=envelope.id, action=common.action.value, policy_version=book.version)
        return TrialAnswer(
            envelope.id,
            book.version,
            round((time.perf_counter() - began) * 1000, 2),
            tuple(map(finding_facts, examination.findings)),
            {domain: verdict_facts(verdict) for domain, verdict in verdicts.items()},
            common.action,
            str(reply_to(common, _NO_ID))[:TEXT_LIMIT],
        )

    async def _send(self, trial: Trial, answer: TrialAnswer) -> None:
        try:
            await self._publisher.publish(
                Exchange.TRIED.value,
                trial.reply_key,
                # A long verdict takes its time to be written down, which is the mail's.
                await asyncio.to_thread(encode_answer, answer),
                message_type=TRIED_TYPE,
                content_type="application/json",
                persistent=False,
                deadline_s=_SEND_S,
            )
        except PublishError as error:
            _log.info("trial-not-answered", id=answer.id, cause=error.reason)
