"""What RabbitMQ must do for us, tried on a real node: the installer, the queues' arguments, the guards of PITFALLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aio_pika.abc import AbstractConnection

from services.console.installer import compare
from services.console.management import management
from shared.broker.connect import Link, open_connection
from shared.broker.publish import Publisher, PublishError, PublishFailure
from shared.broker.topology import DELIVERY_LIMIT, QUEUES, Exchange, Key, Queue
from tests.rabbit import Rabbit

# The largest message that policy may allow.
LARGEST_BYTES = 104_857_600


@asynccontextmanager
async def publishing(rabbit: Rabbit, user: str) -> AsyncIterator[tuple[Link, Publisher]]:
    link = Link(rabbit.settings(user), f"test-{user}")
    publisher = Publisher(link)
    link.start()
    try:
        async with asyncio.timeout(10):
            await link.wait_up()
        yield link, publisher
    finally:
        await link.close()


@asynccontextmanager
async def connected(rabbit: Rabbit, user: str) -> AsyncIterator[AbstractConnection]:
    connection = await open_connection(rabbit.settings(user), f"test-{user}")
    async with connection:
        yield connection


async def count(connection: AbstractConnection, queue: str) -> int:
    channel = await connection.channel(publisher_confirms=False)
    declared = await (await channel.get_underlay_channel()).queue_declare(queue, passive=True)
    await channel.close()
    return declared.message_count or 0


async def wait_for_count(connection: AbstractConnection, queue: str, wanted: int, deadline_s: float = 20) -> None:
    async with asyncio.timeout(deadline_s):
        while await count(connection, queue) != wanted:
            await asyncio.sleep(0.05)


def test_applying_again_changes_nothing(rabbit: Rabbit) -> None:
    assert rabbit.install() == ()


async def test_compare_finds_the_applied_topology_complete(rabbit: Rabbit) -> None:
    assert await compare(rabbit.settings("admin"), rabbit.management_url) == ()


def test_a_queue_with_other_arguments_is_named_with_both_values(rabbit: Rabbit) -> None:
    spec = next(spec for spec in QUEUES if spec.name == Queue.VERIFY)
    with management(rabbit.management_url, rabbit.settings("admin")) as broker:
        broker.delete("queues", broker.vhost, spec.name)
        broker.put("queues", broker.vhost, spec.name, body={"durable": True, "arguments": {"x-message-ttl": 1}})
    try:
        (difference,) = rabbit.install()
        assert "queue gatepost.verify: x-message-ttl is 1, expected 10000" in difference
    finally:
        rabbit.remake(spec)
    assert rabbit.install() == ()


def test_a_queue_of_a_stranger_on_our_exchange_is_named(rabbit: Rabbit) -> None:
    with management(rabbit.management_url, rabbit.settings("admin")) as broker:
        broker.put("queues", broker.vhost, "stranger", body={"durable": True})
        broker.post("bindings", broker.vhost, "e", Exchange.CONTENT, "q", "stranger", body={"routing_key": "content"})
        try:
            (difference,) = rabbit.install()
            assert "gatepost.to.content also feeds stranger with key content" in difference
        finally:
            broker.delete("queues", broker.vhost, "stranger")


async def test_a_service_sees_every_queue_passively(rabbit: Rabbit) -> None:
    async with connected(rabbit, "edge") as connection:
        for spec in QUEUES:
            assert await count(connection, spec.name) == 0


async def test_a_verdict_that_nobody_waits_for_is_returned(rabbit: Rabbit) -> None:
    async with publishing(rabbit, "content") as (_, publisher):
        with pytest.raises(PublishError) as caught:
            await publisher.publish(Exchange.VERDICT.value, "gone", b"{}")
    assert caught.value.kind is PublishFailure.UNROUTABLE


async def test_a_full_content_queue_refuses_the_publish(rabbit: Rabbit) -> None:
    with management(rabbit.management_url, rabbit.settings("admin")) as broker:
        broker.put(
            *("policies", broker.vhost, "gatepost-content"),
            body={"pattern": r"^gatepost\.content$", "definition": {"max-length-bytes": 1000}, "apply-to": "queues"},
        )
        try:
            async with publishing(rabbit, "edge") as (_, publisher):
                with pytest.raises(PublishError) as caught:
                    await _fill(publisher)
            assert caught.value.kind is PublishFailure.REFUSED
            assert caught.value.reply.code == 452
        finally:
            rabbit.install()


async def _fill(publisher: Publisher) -> None:
    # The queue notices that it is full only after it has become so.
    for _ in range(50):
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"x" * 600)


async def test_the_delivery_limit_leads_to_quarantine_as_poison(rabbit: Rabbit) -> None:
    async with publishing(rabbit, "edge") as (_, publisher):
        await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"poison", message_id="p1")
    async with connected(rabbit, "content") as connection:
        channel = await connection.channel(publisher_confirms=False)
        queue = await channel.get_queue(Queue.CONTENT.value, ensure=False)
        for _ in range(DELIVERY_LIMIT + 1):
            message = await queue.get(timeout=10)
            await message.nack(requeue=True)
        await wait_for_count(connection, Queue.QUARANTINE.value, 1)
        assert await count(connection, Queue.CONTENT.value) == 0
    async with connected(rabbit, "console") as connection:
        queue = await (await connection.channel()).get_queue(Queue.QUARANTINE.value, ensure=False)
        message = await queue.get(timeout=10)
        assert (message.body, message.message_id, message.routing_key) == (b"poison", "p1", "poison")
        await message.ack()


async def test_the_largest_allowed_message_passes_the_broker(rabbit: Rabbit) -> None:
    async with publishing(rabbit, "edge") as (_, publisher):
        body = b"x" * LARGEST_BYTES
        await publisher.publish(Exchange.CONTENT.value, Key.LARGE.value, body, deadline_s=60)


async def test_a_memory_alarm_shows_as_blocked_and_bounds_the_wait(rabbit: Rabbit) -> None:
    async with publishing(rabbit, "edge") as (link, publisher):
        assert not link.is_blocked
        with rabbit.memory_alarm():
            with pytest.raises(PublishError) as caught:
                await publisher.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"held back", deadline_s=1)
            assert caught.value.kind is PublishFailure.UNKNOWN
            assert link.is_blocked
        async with asyncio.timeout(10):
            while link.is_blocked:
                await asyncio.sleep(0.02)
        # It had left our hands: a publish that timed out may be in the queue all the same.
        async with connected(rabbit, "edge") as connection:
            await wait_for_count(connection, Queue.CONTENT.value, 1)
