"""Consuming with explicit acknowledgement (I/O).

Owns: `Consumer` (a durable queue, bounded prefetch), `ReplyQueue` (a process's own, bound by its key), `StreamReader`.
On failure: a lost channel is opened again by the link; its unacknowledged messages come again, elsewhere perhaps. An
error in a handler hands the message back after a pause, so that one bad message makes no storm.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.channel import Channel

from shared.broker.connect import Link
from shared.broker.topology import REPLY_PREFIX, Exchange
from shared.logs import in_detail

_log = structlog.get_logger()
_HAND_BACK_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message from a queue. deliveries: how often it was delivered before (quorum queues count).

    user: who published it, as the broker has verified, or None where nobody said.
    """

    body: bytes
    headers: Mapping[str, object]
    message_type: str | None
    message_id: str | None
    redelivered: bool
    deliveries: int
    user: str | None
    _channel: AbstractChannel
    _tag: int

    @property
    def stale(self) -> bool:
        """Whether its channel is gone: the broker delivers it again, so work on it is wasted."""
        return self._channel.is_closed

    async def ack(self) -> None:
        """Tell the broker that it is done. On a dead channel nothing is said: it comes again."""
        if not self._channel.is_closed:
            with contextlib.suppress(Exception):
                await self._channel.basic_ack(self._tag, wait=False)

    async def hand_back(self) -> None:
        """Return it to its queue; the broker counts that as a delivery."""
        if not self._channel.is_closed:
            with contextlib.suppress(Exception):
                await self._channel.basic_nack(self._tag, requeue=True, wait=False)


Handler = Callable[[Delivery], Awaitable[None]]


def _delivery(message: DeliveredMessage) -> Delivery:
    properties = message.header.properties
    headers = properties.headers or {}
    count = headers.get("x-delivery-count", 0)
    return Delivery(
        body=message.body,
        headers=headers,
        message_type=properties.message_type,
        message_id=properties.message_id,
        redelivered=bool(message.redelivered),
        deliveries=count if isinstance(count, int) else 0,
        user=properties.user_id,
        _channel=message.channel,
        _tag=message.delivery_tag or 0,
    )


def _is_consuming(channel: Channel | None, consumer_tag: str | None) -> bool:
    return channel is not None and not channel.is_closed and consumer_tag in channel.consumers


class Consumer:
    """Takes messages from one durable queue, `prefetch` at a time, each in a task of its own."""

    def __init__(self, link: Link, queue: str, prefetch: int, handler: Handler) -> None:
        self._link = link
        self._queue = queue
        self._prefetch = prefetch
        self._handler = handler
        self._channel: Channel | None = None
        self._consumer_tag: str | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self._draining = False
        link.on_up(self._open)

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has this consumer."""
        return _is_consuming(self._channel, self._consumer_tag)

    @property
    def busy(self) -> int:
        """How many messages are being handled."""
        return len(self._busy)

    async def _open(self, connection: AbstractConnection) -> None:
        if self._draining:
            return
        channel = await self._link.open_channel(connection)
        await channel.basic_qos(prefetch_count=self._prefetch)
        ok = await channel.basic_consume(self._queue, self._on_message)
        self._channel, self._consumer_tag = channel, ok.consumer_tag

    async def _on_message(self, message: DeliveredMessage) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        delivery = _delivery(message)
        if in_detail():
            _log.debug("message-taken", queue=self._queue, id=delivery.message_id, octets=len(message.body))
        try:
            await self._handler(delivery)
        except Exception:
            _log.exception("message-handed-back", queue=self._queue, id=delivery.message_id)
            await asyncio.sleep(_HAND_BACK_PAUSE_S)
            await delivery.hand_back()
        finally:
            self._busy.discard(task)

    async def drain(self, deadline_s: float) -> None:
        """Take no more, and wait until what was begun is done or the deadline has passed."""
        self._draining = True
        if self._channel is not None and self._consumer_tag is not None and self.is_consuming:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2):
                    await self._channel.basic_cancel(self._consumer_tag)
        if self._busy:
            await asyncio.wait(self._busy, timeout=deadline_s)


class ReplyQueue:
    """An exclusive queue of this process with a fresh name per connection, bound by the process's own key.

    key: None takes everything of a fan-out exchange. Messages need no acknowledgement: they are worth nothing late.
    """

    def __init__(
        self, link: Link, service: str, exchange: Exchange, key: str | None, handler: Callable[[bytes], None]
    ) -> None:
        self._link = link
        self._service = service
        self._exchange = exchange
        self._key = key or ""
        self._handler = handler
        self._channel: Channel | None = None
        self._consumer_tag: str | None = None
        link.on_up(self._open)

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has this consumer."""
        return _is_consuming(self._channel, self._consumer_tag)

    async def _open(self, connection: AbstractConnection) -> None:
        channel = await self._link.open_channel(connection)
        # A fresh name: the old one stays locked while the broker has not noticed that its connection is dead.
        name = f"{REPLY_PREFIX}{self._service}.{secrets.token_hex(8)}"
        await channel.queue_declare(name, exclusive=True, auto_delete=True)
        await channel.queue_bind(name, self._exchange.value, self._key)
        ok = await channel.basic_consume(name, self._on_message, no_ack=True)
        self._channel, self._consumer_tag = channel, ok.consumer_tag

    async def _on_message(self, message: DeliveredMessage) -> None:
        try:
            self._handler(message.body)
        except ValueError as error:
            _log.warning("reply-unreadable", exchange=self._exchange.value, cause=str(error))


class StreamReader:
    """Reads a stream from its first entry, for as long as the link lives.

    RabbitMQ's offset `last` means the last chunk, which may hold several entries: so all are read.
    """

    def __init__(self, link: Link, queue: str, handler: Callable[[bytes], Awaitable[None]]) -> None:
        self._link = link
        self._queue = queue
        self._handler = handler
        link.on_up(self._open)

    async def _open(self, connection: AbstractConnection) -> None:
        channel = await self._link.open_channel(connection)
        await channel.basic_qos(prefetch_count=100)
        await channel.basic_consume(self._queue, self._on_message, arguments={"x-stream-offset": "first"})

    async def _on_message(self, message: DeliveredMessage) -> None:
        try:
            await self._handler(message.body)
        except ValueError as error:
            _log.error("stream-entry-refused", stream=self._queue, cause=str(error))
        finally:
            if not message.channel.is_closed:
                await message.channel.basic_ack(message.delivery_tag or 0, wait=False)
