"""Asking content over the broker what a message is today (I/O: AMQP).

Output: `TrialAnswer` with a verdict, within TRIAL_S and the time that a connection takes.
On failure: NotTried, whose text says what is missing; the message is then nowhere but with whoever asks.
"""

import asyncio
import contextlib
import secrets

from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity

from services.console.actions.errors import ActionError
from shared.broker.connect import Link
from shared.broker.consume import ReplyQueue
from shared.broker.publish import Publisher, PublishError, PublishFailure
from shared.broker.topology import Exchange, Key, Queue
from shared.envelope import Envelope
from shared.settings import BrokerSettings
from shared.wire import EnvelopeTooLarge
from shared.wire_trial import TRIAL_S, TRIAL_TYPE, Trial, TrialAnswer, decode_answer, trial_headers

_UP_S = 8.0
_SEND_S = 5.0


class NotTried(ActionError):
    """Content gave no verdict."""

    status = 503


async def ask_content(
    settings: BrokerSettings, envelope: Envelope, message: bytes, deadline_s: float = TRIAL_S
) -> TrialAnswer:
    """Return what content says of a message. Raises NotTried."""
    question = _Question(settings, envelope.id)
    try:
        return await question.ask(envelope, message, deadline_s)
    finally:
        await question.close()


class _Question:
    """One question, on a link of its own. name: the trial's id."""

    def __init__(self, settings: BrokerSettings, name: str) -> None:
        self._name = name
        self._link = Link(settings, "gatepost-console-trial")
        self._publisher = Publisher(self._link)
        self._key = secrets.token_hex(8)
        self._answer: asyncio.Future[TrialAnswer] = asyncio.get_running_loop().create_future()
        # How many content processes take trials; None: there is no queue for them.
        self._takers: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._link.on_up(self._count)
        ReplyQueue(self._link, "console", Exchange.TRIED, self._key, self._on_answer)
        self._link.start()

    async def ask(self, envelope: Envelope, message: bytes, deadline_s: float) -> TrialAnswer:
        try:
            headers = trial_headers(Trial(envelope, self._key))
        except EnvelopeTooLarge as error:
            raise NotTried(str(error)) from None
        await self._must_be_taken()
        try:
            async with asyncio.timeout(deadline_s):
                await self._publisher.publish(
                    Exchange.TRIAL.value,
                    Key.TRIAL.value,
                    message,
                    headers=headers,
                    message_type=TRIAL_TYPE,
                    message_id=self._name,
                    persistent=False,
                    deadline_s=_SEND_S,
                )
                answer = await self._answer
        except PublishError as error:
            if error.kind is PublishFailure.REFUSED:
                raise NotTried("content has as many messages to try as it takes at once: ask again soon") from None
            raise NotTried(f"the broker did not take it: {error.reason[:300]}") from None
        except TimeoutError:
            raise NotTried(
                f"content gave no verdict within {deadline_s:g} s: see whether it is well (gatepost status)"
            ) from None
        if answer.problem:
            raise NotTried(answer.problem)
        return answer

    async def close(self) -> None:
        await self._link.close()

    async def _must_be_taken(self) -> None:
        """Raise NotTried where nobody would answer: no broker, a broker without the queue, no content process."""
        try:
            async with asyncio.timeout(_UP_S):
                takers = await asyncio.shield(self._takers)
                if takers:
                    # The reply queue stands before the link counts as up.
                    await self._link.wait_up()
        except TimeoutError:
            raise NotTried("the broker cannot be reached") from None
        if takers is None:
            raise NotTried(f"the broker has no queue {Queue.TRIAL.value}: gatepost topology apply makes it")
        if not takers:
            raise NotTried("no content process takes messages to try: none runs, or all are of an earlier version")

    async def _count(self, connection: AbstractConnection) -> None:
        takers: int | None = None
        channel = await connection.channel(publisher_confirms=False)
        with contextlib.suppress(ChannelNotFoundEntity):
            under = await channel.get_underlay_channel()
            takers = (await under.queue_declare(Queue.TRIAL.value, passive=True)).consumer_count or 0
            await channel.close()
        if not self._takers.done():
            self._takers.set_result(takers)

    def _on_answer(self, body: bytes) -> None:
        answer = decode_answer(body)
        if answer.id == self._name and not self._answer.done():
            self._answer.set_result(answer)
