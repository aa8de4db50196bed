"""Asking delivery over the broker what is on the routes of a domain (I/O: AMQP).

Output: `RouteAnswer`, always, within `ROUTE_CHECK_S` and a little: where nobody answers, it says so.
"""

import asyncio
import secrets

from shared.broker.connect import Link
from shared.broker.consume import ReplyQueue
from shared.broker.publish import Publisher, PublishError
from shared.broker.topology import Exchange, Key
from shared.ids import new_id
from shared.settings import BrokerSettings
from shared.wire_route_check import (
    ROUTE_CHECK_S,
    ROUTE_CHECK_TYPE,
    RouteAnswer,
    RouteQuestion,
    decode_route_answer,
    encode_route_question,
)

_UP_S = 10.0
_SEND_S = 5.0
_MORE_S = 4.0


class RouteQuestions:
    """Questions of one command, on a link of its own."""

    def __init__(self, settings: BrokerSettings, deadline_s: float = ROUTE_CHECK_S + _MORE_S) -> None:
        self._link = Link(settings, "gatepost-command-routes")
        self._publisher = Publisher(self._link)
        self._key = secrets.token_hex(8)
        self._deadline_s = deadline_s
        self._waiting: dict[str, asyncio.Future[RouteAnswer]] = {}
        ReplyQueue(self._link, "console", Exchange.VERIFIED, self._key, self._on_answer)
        self._link.start()

    async def ask(self, domain: str) -> RouteAnswer:
        """Return what delivery says of a domain, or that it says nothing."""
        question = RouteQuestion(new_id(), self._key, domain)
        future: asyncio.Future[RouteAnswer] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_UP_S):
                # The reply queue stands before the link counts as up.
                await self._link.wait_up()
        except TimeoutError:
            return RouteAnswer(question.id, domain, problem="the broker cannot be reached")
        self._waiting[question.id] = future
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._publisher.publish(
                    Exchange.VERIFY.value,
                    Key.VERIFY.value,
                    encode_route_question(question),
                    message_type=ROUTE_CHECK_TYPE,
                    content_type="application/json",
                    persistent=False,
                    deadline_s=_SEND_S,
                )
                return await future
        except PublishError as error:
            return RouteAnswer(question.id, domain, problem=error.reason[:300])
        except TimeoutError:
            return RouteAnswer(question.id, domain, problem=f"nobody answered within {self._deadline_s:g} s")
        finally:
            del self._waiting[question.id]

    async def close(self) -> None:
        """Close the link."""
        await self._link.close()

    def _on_answer(self, body: bytes) -> None:
        answer = decode_route_answer(body)
        future = self._waiting.get(answer.id)
        if future is not None and not future.done():
            future.set_result(answer)
