"""The orders of administrators in force in this process (I/O: reads their stream).

Owns: following `gatepost.orders` from its first entry.
On failure: an entry that cannot be read is logged and passed over; while the link is away, what is known stays in
force.
"""

import time
from collections.abc import Callable

import structlog

from services.delivery.ruling import OrderBook, Ruling
from services.delivery.whole_stream import WholeStream
from shared.broker.connect import Link
from shared.broker.topology import Queue
from shared.envelope import Envelope
from shared.order import decode_order

_log = structlog.get_logger()
# An order that claims to be of later than now would end mail that has not come yet.
_AHEAD_S = 300.0


class Orders:
    """The orders in force. Made before the link is started. clock: Unix seconds."""

    def __init__(self, link: Link, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._book = OrderBook()
        self._stream = WholeStream(link, Queue.ORDERS, self._on_entry, self._begin)

    @property
    def is_known(self) -> bool:
        """Whether the stream was read to its end once; before, a cancelled message would go out."""
        return self._stream.is_read

    async def wait_known(self) -> None:
        """Wait until the stream was read to its end once."""
        await self._stream.wait_read()

    def ruling(self, envelope: Envelope, hop: str, now: float) -> Ruling:
        """Return what the orders say of a message. hop: the key of its first next hop by the policy."""
        return self._book.ruling(envelope, hop, now)

    def suspended_hop(self, hop: str) -> str | None:
        """Return why a hop gets no mail by order, or None."""
        order = self._book.suspended_hop(hop)
        if order is None:
            return None
        return f"suspended by {order.who}: {order.why}" if order.why else f"suspended by {order.who}"

    async def _on_entry(self, body: bytes) -> None:
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

    def _begin(self) -> None:
        _log.info("orders-known", orders=len(self._book))
