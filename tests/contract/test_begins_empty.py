"""What each test may rely on: it begins with empty queues and streams, whatever the one before did."""

import asyncio

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from services.console.management import management
from shared.broker.connect import open_connection
from shared.broker.topology import QUEUES, QueueSpec
from tests.rabbit import Rabbit

STREAMS = [spec for spec in QUEUES if spec.arguments["x-queue-type"] == "stream"]
OTHERS = [spec.name for spec in QUEUES if spec not in STREAMS]


async def _lengths(rabbit: Rabbit) -> dict[str, int]:
    async with await open_connection(rabbit.settings("admin"), "test") as connection:
        channel = await (await connection.channel()).get_underlay_channel()
        found = {
            spec.name: await channel.queue_declare(spec.name, passive=True) for spec in QUEUES if spec.name in OTHERS
        }
    return {name: declared.message_count or 0 for name, declared in found.items()}


async def _fill(rabbit: Rabbit, body: bytes, *specs: QueueSpec) -> None:
    """Put a message into each queue or stream, confirmed."""
    async with await open_connection(rabbit.settings("admin"), "test") as connection:
        channel = await (await connection.channel()).get_underlay_channel()
        for spec in specs:
            (exchange, key), *_ = spec.bindings
            answer = await channel.basic_publish(body, exchange=exchange.value, routing_key=str(key), mandatory=True)
            assert isinstance(answer, Basic.Ack)


async def _first(rabbit: Rabbit, stream: QueueSpec) -> bytes:
    """Return the oldest entry of a stream; the broker does not tell its length at once."""
    entries = asyncio.Queue[bytes]()

    async def take(entry: DeliveredMessage) -> None:
        entries.put_nowait(entry.body)

    async with await open_connection(rabbit.settings("admin"), "test") as connection:
        channel = await (await connection.channel()).get_underlay_channel()
        await channel.basic_qos(prefetch_count=1)
        await channel.basic_consume(stream.name, take, arguments={"x-stream-offset": "first"})
        async with asyncio.timeout(10):
            return await entries.get()


async def test_every_queue_and_stream_is_emptied_and_works_as_before(rabbit: Rabbit) -> None:
    for body in (b"one", b"two"):
        await _fill(rabbit, body, *QUEUES)
        assert await _lengths(rabbit) == dict.fromkeys(OTHERS, 1)
        assert [await _first(rabbit, stream) for stream in STREAMS] == [body] * len(STREAMS)
        rabbit.purge()
        assert await _lengths(rabbit) == dict.fromkeys(OTHERS, 0)
        assert rabbit.install() == ()


async def test_a_queue_that_a_test_removed_is_back_and_the_rest_is_empty(rabbit: Rabbit) -> None:
    await _fill(rabbit, b"x", *QUEUES)
    with management(rabbit.management_url, rabbit.settings("admin")) as broker:
        broker.delete("queues", broker.vhost, QUEUES[0].name)
    rabbit.purge()
    assert await _lengths(rabbit) == dict.fromkeys(OTHERS, 0)
    assert rabbit.install() == ()
