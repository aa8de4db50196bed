"""Telling edge the verdict and learning what the client was told (I/O over the broker).

Owns: content's half of DESIGN §4. Input: a Judgement and edge's key. Output: the SMTP code that was said.
On failure: an edge that is gone, or silent after three asks, counts as having said 250, so nothing is lost. Gone is who
has not been there for a while: an edge that lost its connection alone is back by then, and knows what it said.
"""

import asyncio
import hmac
from dataclasses import dataclass
from typing import Protocol

import structlog

from shared.broker.publish import PublishError, PublishFailure
from shared.broker.topology import Exchange
from shared.wire import Judgement, Said, decode_said, encode_judgement

_log = structlog.get_logger()

ASKS = 3
SILENCE_S = 5.0
# A link tries to connect every three seconds at most. Who is found gone holds up no later message.
GONE_AFTER_S = 5.0
_ASK_AGAIN_S = 0.5
_MISSING_LIMIT = 1000
ASSUMED = 250
STILL_WAITING = 0
VERDICT_TYPE = "gatepost.verdict.v1"


class PublishPort(Protocol):
    """What this module needs of `shared.broker.publish.Publisher`."""

    async def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        *,
        message_type: str = ...,
        content_type: str = ...,
        persistent: bool = ...,
        deadline_s: float = ...,
    ) -> None:
        """Publish and wait for the confirm."""


@dataclass(frozen=True, slots=True)
class _Pending:
    token: str
    future: asyncio.Future[int]


class Conversation:
    """The mails of this process whose answer by edge is awaited. said_key: this process's routing key."""

    def __init__(
        self,
        publisher: PublishPort,
        said_key: str,
        *,
        silence_s: float = SILENCE_S,
        gone_after_s: float = GONE_AFTER_S,
    ) -> None:
        self.said_key = said_key
        self._publisher = publisher
        self._silence_s = silence_s
        self._gone_after_s = gone_after_s
        # Since when the edge of a key could not be reached. Times of the event loop.
        self._missing_since: dict[str, float] = {}
        self._pending: dict[str, _Pending] = {}

    def on_said(self, body: bytes) -> None:
        """Take a `Said` from this process's reply queue. Raises WireError for what is none."""
        said: Said = decode_said(body)
        pending = self._pending.get(said.id)
        if pending is None or pending.future.done():
            return
        # The token proves that it is edge that speaks, and of this very mail.
        if hmac.compare_digest(pending.token.encode(), said.token.encode()):
            pending.future.set_result(said.code)

    async def ask(self, judgement: Judgement, edge_key: str) -> int:
        """Return the code that the client was told, STILL_WAITING, or ASSUMED where nobody answers.

        Raises PublishError when the broker itself fails: the delivery is stale then, and comes again.
        """
        body = encode_judgement(judgement)
        asks = 0
        while asks < ASKS:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._pending[judgement.id] = _Pending(judgement.token, future)
            try:
                await self._publisher.publish(
                    Exchange.VERDICT.value,
                    edge_key,
                    body,
                    message_type=VERDICT_TYPE,
                    content_type="application/json",
                    persistent=False,
                    deadline_s=self._silence_s,
                )
                self._missing_since.pop(edge_key, None)
                async with asyncio.timeout(self._silence_s):
                    return await future
            except PublishError as error:
                if error.kind is not PublishFailure.UNROUTABLE:
                    raise
                if self._is_gone(edge_key):
                    _log.info("edge-gone", id=judgement.id)
                    return ASSUMED
                await asyncio.sleep(min(_ASK_AGAIN_S, self._gone_after_s))
            except TimeoutError:
                asks += 1
                _log.warning("edge-silent", id=judgement.id)
            finally:
                self._pending.pop(judgement.id, None)
        return ASSUMED

    def _is_gone(self, edge_key: str) -> bool:
        now = asyncio.get_running_loop().time()
        since = self._missing_since.setdefault(edge_key, now)
        if len(self._missing_since) > _MISSING_LIMIT:
            del self._missing_since[next(iter(self._missing_since))]
        return now - since >= self._gone_after_s
