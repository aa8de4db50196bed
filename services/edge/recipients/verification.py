"""Asking delivery over the broker whether a route takes a recipient (I/O).

Input: recipients. Output: `Known`, within `DEADLINE_S`; the answers come to this process's reply queue, `on_answer`.
On failure: NoAnswer where nobody answered or nothing could be sent. Once nobody has answered in time, nobody is asked
for ten seconds, so that sessions do not wait for a delivery stage that is down.
"""

import asyncio
import time
from collections.abc import Callable

from services.edge.decide.recipient import Known
from services.edge.ports import PublisherPort
from shared.broker.publish import PublishError
from shared.broker.topology import Exchange, Key
from shared.ids import new_id
from shared.wire_verify import (
    VERIFY_TYPE,
    VerifyAnswer,
    VerifyQuestion,
    VerifyResult,
    decode_answer,
    encode_question,
)

# Delivery answers within eight; a question is kept for ten.
DEADLINE_S = 9.0
_SEND_S = 2.0
_DEAF_S = 10.0
_KNOWN = {VerifyResult.TAKEN: Known.YES, VerifyResult.REFUSED: Known.NO, VerifyResult.UNKNOWN: Known.UNSURE}


class NoAnswer(Exception):
    """Nobody answers now."""


class Verification:
    """Questions of one edge process. reply_key: routing key of its reply queue. deadline_s: how long one waits."""

    def __init__(
        self,
        publisher: PublisherPort,
        reply_key: str,
        *,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._reply_key = reply_key
        self._deadline_s = deadline_s
        self._clock = clock
        self._waiting: dict[str, tuple[str, asyncio.Future[VerifyAnswer]]] = {}
        self._heard_at = 0.0
        self._deaf_until = 0.0

    async def ask(self, recipient: str) -> Known:
        """Return what delivery says of a recipient. Raises NoAnswer."""
        if self._clock() < self._deaf_until:
            raise NoAnswer("no delivery process answered of late")
        question = VerifyQuestion(new_id(), self._reply_key, recipient)
        future: asyncio.Future[VerifyAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[question.id] = (recipient, future)
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._send(question)
                return _KNOWN[(await future).result]
        except TimeoutError:
            if self._heard_at <= asked_at:
                self._deaf_until = self._clock() + _DEAF_S
            raise NoAnswer(f"no answer within {self._deadline_s:g} s") from None
        finally:
            del self._waiting[question.id]

    def on_answer(self, body: bytes) -> None:
        """Take an answer from the reply queue. Raises WireError."""
        answer = decode_answer(body)
        self._heard_at = self._clock()
        self._deaf_until = 0.0
        recipient, future = self._waiting.get(answer.id, ("", None))
        if future is not None and recipient == answer.recipient and not future.done():
            future.set_result(answer)

    async def _send(self, question: VerifyQuestion) -> None:
        try:
            # Without a confirm: a question that gets lost is asked again with the next mail.
            await self._publisher.send(
                Exchange.VERIFY.value,
                Key.VERIFY.value,
                encode_question(question),
                message_type=VERIFY_TYPE,
                deadline_s=_SEND_S,
            )
        except PublishError as error:
            raise NoAnswer(error.reason) from None
