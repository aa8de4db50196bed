"""Following the stream of orders on a real broker."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from services.delivery.orders import Orders
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key
from shared.ids import new_id
from shared.order import By, Order, OrderKind, Target, encode_order
from tests.rabbit import Rabbit
from tests.unit.services.delivery.envelopes import envelope_of

HOP = "smtp://one.test:25"


def order(kind: OrderKind, target: Target, at: float | None = None) -> Order:
    return Order(new_id(), time.time() if at is None else at, kind, target, "anna", "why")


@contextlib.asynccontextmanager
async def following(rabbit: Rabbit) -> AsyncIterator[tuple[Link, Orders]]:
    link = Link(rabbit.settings("delivery"), "test-orders")
    orders = Orders(link)
    assert not orders.is_known
    link.start()
    try:
        async with asyncio.timeout(10):
            await orders.wait_known()
        yield link, orders
    finally:
        await link.close()


@contextlib.asynccontextmanager
async def ordering(rabbit: Rabbit) -> AsyncIterator[Callable[[bytes], "asyncio.Task[None]"]]:
    link = Link(rabbit.settings("console"), "test-console")
    publisher = Publisher(link)
    link.start()

    def publish(body: bytes) -> "asyncio.Task[None]":
        return asyncio.create_task(publisher.publish(Exchange.ORDERS.value, Key.ORDERS.value, body, message_type="t"))

    try:
        yield publish
    finally:
        await link.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


async def test_an_empty_stream_is_known_soon_and_orders_nothing(rabbit: Rabbit) -> None:
    async with following(rabbit) as (_, orders):
        assert orders.suspended_hop(HOP) is None


async def test_what_was_ordered_before_is_known_before_the_first_message(rabbit: Rabbit) -> None:
    mail = envelope_of(received_at=time.time() - 60)
    cancelled = order(OrderKind.CANCEL, Target(By.MESSAGE, mail.id))
    async with ordering(rabbit) as publish:
        await publish(encode_order(order(OrderKind.SUSPEND, Target(By.HOP, HOP))))
        # What cannot be read, and what claims to be of later, is passed over.
        await publish(b"rubbish")
        await publish(encode_order(order(OrderKind.CANCEL, Target(By.ALL), time.time() + 9999)))
        for number in range(200):
            await publish(encode_order(order(OrderKind.RETRY, Target(By.DOMAIN, f"d{number}.test"))))
        await publish(encode_order(cancelled))
    async with following(rabbit) as (_, orders):
        assert orders.ruling(mail, HOP, time.time()).ends == cancelled
        assert orders.suspended_hop(HOP) == "suspended by anna: why"
        other = envelope_of(received_at=time.time() - 60, id="other")
        assert orders.ruling(other, HOP, time.time()).ends is None


async def test_an_order_is_followed_as_soon_as_it_is_given_and_survives_a_lost_link(rabbit: Rabbit) -> None:
    async with following(rabbit) as (link, orders), ordering(rabbit) as publish:
        await publish(encode_order(order(OrderKind.SUSPEND, Target(By.HOP, HOP))))
        await until(lambda: orders.suspended_hop(HOP) is not None)
        await publish(encode_order(order(OrderKind.RESUME, Target(By.ALL))))
        await until(lambda: orders.suspended_hop(HOP) is None)
        link.renew()
        await until(lambda: not link.is_up)
        await until(lambda: link.is_up)
        # Read again from the first entry, the suspension does not come back meanwhile.
        await publish(encode_order(order(OrderKind.SUSPEND, Target(By.HOP, "mx:a.test"))))
        await until(lambda: orders.suspended_hop("mx:a.test") is not None)
        assert orders.suspended_hop(HOP) is None
