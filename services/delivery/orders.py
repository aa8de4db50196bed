"""The orders of administrators in force in this process (I/O: reads their stream).

Owns: following `gatepost.orders` from its first entry.
On failure: an entry that cannot be read is logged and passed over; while the link is away, what is known stays in
force.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from aio_pika.abc import AbstractConnection

from services.delivery.ruling import OrderBook, Ruling
from shared.broker.connect import Link
from shared.broker.consume import StreamReader
from shared.broker.topology import Queue
from shared.envelope import Envelope
from shared.order import decode_order

_log = structlog.get_logger()
# The broker's count of a stream may run behind, or ahead of what is kept of it: so much silence ends the first reading.
_SILENCE_S = 1.0
_AFTER_LAST_S = 0.3
# An order that claims to be of later than now would end mail that has not come yet.
_AHEAD_S = 300.0


class Orders:
    """The orders in force. Made before the link is started. clock: Unix seconds."""

    def __init__(self, link: Link, clock: Callable[[], float] = time.time) -> None:
        self._link = link
        self._clock = clock
        self._book = OrderBook()
        self._known = asyncio.Event()
        self._expected = 0
        self._seen = 0
        self._silence: asyncio.TimerHandle | None = None
        link.on_up(self._count)
        StreamReader(link, Queue.ORDERS.value, self._on_entry)

    @property
    def is_known(self) -> bool:
        """Whether the stream was read to its end once; before, a cancelled message would go out."""
        return self._known.is_set()

    async def wait_known(self) -> None:
        """Wait until the stream was read to its end once."""
        await self._known.wait()

    def ruling(self, envelope: Envelope, hop: str, now: float) -> Ruling:
        """Return what the orders say of a message. hop: the key of its first next hop by the policy."""
        return self._book.ruling(envelope, hop, now)

    def suspended_hop(self, hop: str) -> str | None:
        """Return why a hop gets no mail by order, or None."""
        order = self._book.suspended_hop(hop)
        if order is None:
            return None
        return f"suspended by {order.who}: {order.why}" if order.why else f"suspended by {order.who}"

    async def _count(self, connection: AbstractConnection) -> None:
        # A channel of its own, for one that the link has opened ends the connection when it closes.
        channel = await connection.channel(publisher_confirms=False)
        try:
            declared = await (await channel.get_underlay_channel()).queue_declare(Queue.ORDERS.value, passive=True)
        finally:
            await channel.close()
        self._expected, self._seen = declared.message_count or 0, 0
        self._wait_on()

    async def _on_entry(self, body: bytes) -> None:
        self._seen += 1
        self._wait_on()
        order = decode_order(body)
        now = self._clock()
        if order.at > now + _AHEAD_S:
            _log.error("order-refused", order=order.id, who=order.who, cause="its time is to come: see to the clocks")
            return
        if not self._book.take(order, now):
            return
        if self._book.is_full:
            _log.warning("orders-forgotten", cause="there are more than fit; the oldest do not count any more")
        if self.is_known:
            target = str(order.target)
            _log.info("order-in-force", order=order.id, kind=order.kind.value, target=target, who=order.who)

    def _wait_on(self) -> None:
        if self.is_known:
            return
        if self._silence is not None:
            self._silence.cancel()
        wait_s = _AFTER_LAST_S if self._seen >= self._expected else _SILENCE_S
        self._silence = asyncio.get_running_loop().call_later(wait_s, self._now_known)

    def _now_known(self) -> None:
        if not self._link.is_up:
            # Lost while it was read, or not up as a whole yet.
            self._wait_on()
            return
        self._known.set()
        _log.info("orders-known", orders=len(self._book))
