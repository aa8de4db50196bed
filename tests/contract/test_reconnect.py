"""Links, consumers and readers are back by themselves after whatever the broker does to them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from shared.broker.connect import Link
from shared.broker.consume import Consumer, Delivery, ReplyQueue, StreamReader
from shared.broker.publish import Publisher, PublishError
from shared.broker.topology import Exchange, Key, Queue
from tests.contract.test_topology import publishing
from tests.rabbit import Rabbit


async def until(holds: Callable[[], bool], deadline_s: float = 30) -> None:
    async with asyncio.timeout(deadline_s):
        while not holds():
            await asyncio.sleep(0.02)


class Received:
    """A handler that acknowledges and remembers."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, delivery: Delivery) -> None:
        self.bodies.append(delivery.body)
        await delivery.ack()


@asynccontextmanager
async def started(link: Link) -> AsyncIterator[Link]:
    link.start()
    try:
        async with asyncio.timeout(10):
            await link.wait_up()
        yield link
    finally:
        await link.close()


async def test_a_consumer_is_back_within_30_s_of_a_power_cut_and_nothing_confirmed_is_lost(rabbit: Rabbit) -> None:
    received = Received()
    async with publishing(rabbit, "edge") as (_, publisher):
        for number in range(20):
            await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"%d" % number)
        rabbit.kill()
        link = Link(rabbit.settings("content"), "test-consumer")
        consumer = Consumer(link, Queue.CONTENT.value, 5, received)
        link.start()
        try:
            await asyncio.to_thread(rabbit.start)
            up_at = time.monotonic()
            await until(lambda: consumer.is_consuming)
            await until(lambda: len(received.bodies) == 20)
            await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"after", deadline_s=30)
            await until(lambda: len(received.bodies) == 21)
            assert time.monotonic() - up_at < 30
        finally:
            await link.close()


async def test_a_consumer_is_back_after_the_broker_closed_its_connection(rabbit: Rabbit) -> None:
    received = Received()
    link = Link(rabbit.settings("content"), "test-consumer")
    consumer = Consumer(link, Queue.CONTENT.value, 5, received)
    async with started(link), publishing(rabbit, "edge") as (_, publisher):
        # The management API knows a connection only after a moment; control asks the broker itself.
        await asyncio.to_thread(rabbit.close_connections, "content")
        await until(lambda: not link.is_up)
        await until(lambda: consumer.is_consuming)
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"again")
        await until(lambda: received.bodies == [b"again"])


async def test_a_consumer_is_back_after_the_broker_closed_its_channel(rabbit: Rabbit) -> None:
    seen: list[Delivery] = []

    async def acknowledge_twice(delivery: Delivery) -> None:
        seen.append(delivery)
        await delivery.ack()
        if len(seen) == 1:
            await delivery.ack()  # PRECONDITION_FAILED: the broker closes the channel

    link = Link(rabbit.settings("content"), "test-consumer")
    consumer = Consumer(link, Queue.CONTENT.value, 5, acknowledge_twice)
    async with started(link), publishing(rabbit, "edge") as (_, publisher):
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"first")
        await until(lambda: len(seen) == 1 and seen[0].stale)
        await seen[0].ack()  # on a dead channel nothing is said
        await until(lambda: consumer.is_consuming)
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"second")
        await until(lambda: seen[-1].body == b"second")


async def test_a_consumer_is_back_after_the_broker_cancelled_it(rabbit: Rabbit) -> None:
    received = Received()
    link = Link(rabbit.settings("content"), "test-consumer")
    consumer = Consumer(link, Queue.CONTENT.value, 5, received)
    async with started(link), publishing(rabbit, "edge") as (_, publisher):
        await asyncio.to_thread(rabbit.delete, Queue.CONTENT.value)
        # Declared anew before the broker has told its consumers, they would be counted and yet hear nothing (3.10).
        await until(lambda: not consumer.is_consuming)
        await asyncio.to_thread(rabbit.install)
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"again")
        await until(lambda: received.bodies == [b"again"])
        assert consumer.is_consuming


async def test_a_message_is_taken_by_one_and_prefetch_bounds_what_is_held(rabbit: Rabbit) -> None:
    release = asyncio.Event()
    held: list[Delivery] = []

    async def hold(delivery: Delivery) -> None:
        held.append(delivery)
        await release.wait()
        await delivery.ack()

    link = Link(rabbit.settings("content"), "test-consumer")
    consumer = Consumer(link, Queue.CONTENT.value, 3, hold)
    async with started(link), publishing(rabbit, "edge") as (_, publisher):
        for number in range(6):
            await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"%d" % number)
        await until(lambda: len(held) == 3)
        assert consumer.busy == 3
        release.set()
        await until(lambda: len(held) == 6 and consumer.busy == 0)


async def test_a_handler_that_fails_hands_the_message_back(rabbit: Rabbit) -> None:
    seen: list[Delivery] = []

    async def fail_once(delivery: Delivery) -> None:
        seen.append(delivery)
        if len(seen) == 1:
            raise RuntimeError("not now")
        await delivery.ack()

    link = Link(rabbit.settings("content"), "test-consumer")
    Consumer(link, Queue.CONTENT.value, 3, fail_once)
    async with started(link), publishing(rabbit, "edge") as (_, publisher):
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"x")
        await until(lambda: len(seen) == 2)
    assert [delivery.deliveries for delivery in seen] == [0, 1]
    assert seen[1].redelivered


async def test_draining_takes_no_more_and_waits_for_what_was_begun(rabbit: Rabbit) -> None:
    begun, release, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(delivery: Delivery) -> None:
        begun.set()
        await release.wait()
        await delivery.ack()
        done.set()

    link = Link(rabbit.settings("content"), "test-consumer")
    consumer = Consumer(link, Queue.CONTENT.value, 1, slow)
    async with started(link), publishing(rabbit, "edge") as (_, publisher):
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"1")
        await begun.wait()
        draining = asyncio.create_task(consumer.drain(10))
        await until(lambda: not consumer.is_consuming)
        assert not draining.done()
        release.set()
        await draining
        assert done.is_set()


async def test_a_stream_is_read_from_its_first_entry_and_again_after_a_reconnect(rabbit: Rabbit) -> None:
    read: list[bytes] = []

    async def note(entry: bytes) -> None:
        read.append(entry)

    async with publishing(rabbit, "console") as (_, publisher):
        for number in range(5):
            await publisher.publish(Exchange.POLICY.value, Key.POLICY.value, b"%d" % number)
        link = Link(rabbit.settings("edge"), "test-reader")
        StreamReader(link, Queue.POLICY.value, note)
        entries = [b"0", b"1", b"2", b"3", b"4"]
        async with started(link):
            await until(lambda: read == entries)
            await publisher.publish(Exchange.POLICY.value, Key.POLICY.value, b"5")
            await until(lambda: read[-1] == b"5")
            link.renew()
            await until(lambda: read == [*entries, b"5", *entries, b"5"])


async def test_a_reply_queue_is_bound_again_after_a_reconnect(rabbit: Rabbit) -> None:
    replies: list[bytes] = []
    link = Link(rabbit.settings("edge"), "test-replies")
    ReplyQueue(link, "edge", Exchange.VERDICT, "my-key", replies.append)
    async with started(link), publishing(rabbit, "content") as (_, publisher):
        await publisher.publish(Exchange.VERDICT.value, "my-key", b"1")
        await until(lambda: replies == [b"1"])
        await asyncio.to_thread(rabbit.close_connections, "edge")
        await until(lambda: not link.is_up)
        await until(lambda: link.is_up)
        await publisher.publish(Exchange.VERDICT.value, "my-key", b"2")
        await until(lambda: replies == [b"1", b"2"])


async def test_publishing_goes_on_after_an_outage_within_its_deadline(rabbit: Rabbit) -> None:
    async with publishing(rabbit, "edge") as (link, publisher):
        await asyncio.to_thread(rabbit.close_connections, "edge")
        await until(lambda: not link.is_up)
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"x", deadline_s=10)


@pytest.mark.parametrize("publishers", [50])
async def test_many_tasks_share_one_publisher(rabbit: Rabbit, publishers: int) -> None:
    async with publishing(rabbit, "edge") as (_, publisher):
        await asyncio.gather(*(_publish(publisher, number) for number in range(publishers)))
    received = Received()
    link = Link(rabbit.settings("content"), "test-consumer")
    Consumer(link, Queue.CONTENT.value, 50, received)
    async with started(link):
        await until(lambda: len(received.bodies) == publishers)
    assert sorted(received.bodies) == sorted(b"%d" % number for number in range(publishers))


async def _publish(publisher: Publisher, number: int) -> None:
    await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"%d" % number)


async def test_what_is_sent_without_a_confirm_arrives_again_after_the_broker_closed_that_channel(
    rabbit: Rabbit,
) -> None:
    heard: list[bytes] = []
    listening, sending = Link(rabbit.settings("content"), "test-content"), Link(rabbit.settings("edge"), "test-edge")
    ReplyQueue(listening, "content", Exchange.SAID, "key", heard.append)
    publisher = Publisher(sending)

    async def send(exchange: Exchange, body: bytes) -> None:
        with contextlib.suppress(PublishError):
            await publisher.send(exchange.value, "key", body, message_type="test", deadline_s=5)

    async with started(listening), started(sending):
        # Edge has no right to it, and the broker closes the channel for that.
        await send(Exchange.DELIVERY, b"forbidden")
        async with asyncio.timeout(20):
            while not heard:
                await send(Exchange.SAID, b"after")
                await asyncio.sleep(0.1)
    assert set(heard) == {b"after"}
