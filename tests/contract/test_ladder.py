"""A message on a rung of the retry ladder comes back to its stage by itself, whole."""

import asyncio

import pytest

from shared.broker.connect import open_connection
from shared.broker.publish import PublishError, PublishFailure
from shared.broker.topology import (
    CONTENT_RUNGS_S,
    DELIVERY_RUNGS_S,
    Exchange,
    Queue,
    retry_queue,
    rung_for,
)
from tests.contract.test_topology import publishing
from tests.rabbit import Rabbit


async def test_a_message_on_the_shortest_rung_comes_back_as_it_was(rabbit: Rabbit) -> None:
    rung = retry_queue(Queue.DELIVERY, rung_for(1, DELIVERY_RUNGS_S))
    async with publishing(rabbit, "delivery") as (_, publisher):
        await publisher.publish(
            Exchange.DELIVERY_RETRY.value,
            rung,
            b"body\r\n",
            headers={"envelope": "{}"},
            message_type="gatepost.mail.v1",
            message_id="m1",
        )
    came: asyncio.Future[tuple[bytes, object, str | None, str | None]] = asyncio.get_running_loop().create_future()
    async with await open_connection(rabbit.settings("delivery"), "test") as connection:
        queue = await (await connection.channel()).get_queue(Queue.DELIVERY_AGAIN.value, ensure=False)
        async with asyncio.timeout(20), queue.iterator() as messages:
            async for message in messages:
                came.set_result((message.body, message.headers["envelope"], message.type, message.message_id))
                await message.ack()
                break
    assert came.result() == (b"body\r\n", "{}", "gatepost.mail.v1", "m1")


@pytest.mark.parametrize(
    ("user", "queue", "exchange", "rungs"),
    [
        ("content", Queue.CONTENT, Exchange.CONTENT_RETRY, CONTENT_RUNGS_S),
        ("delivery", Queue.DELIVERY, Exchange.DELIVERY_RETRY, DELIVERY_RUNGS_S),
    ],
)
async def test_every_rung_of_the_ladder_takes_messages(
    rabbit: Rabbit, user: str, queue: Queue, exchange: Exchange, rungs: tuple[int, ...]
) -> None:
    async with publishing(rabbit, user) as (_, publisher):
        for rung_s in rungs:
            await publisher.publish(exchange.value, retry_queue(queue, rung_s), b"x")


async def test_a_rung_that_does_not_exist_is_an_error_not_a_loss(rabbit: Rabbit) -> None:
    async with publishing(rabbit, "delivery") as (_, publisher):
        with pytest.raises(PublishError) as caught:
            await publisher.publish(Exchange.DELIVERY_RETRY.value, retry_queue(Queue.DELIVERY, 7), b"x")
    assert caught.value.kind is PublishFailure.UNROUTABLE
