"""Reading the policy stream, which is the truth about the policy, since the stages read it (I/O: broker).

On failure: ActionError. An entry that is none is passed over, as every stage does.
"""

import asyncio
import contextlib

from aio_pika.exceptions import AMQPError
from aiormq.abc import DeliveredMessage

from services.console.actions.desk import ActionError
from shared.broker.connect import open_connection
from shared.broker.topology import Queue
from shared.policy_entry import PolicyEntry, decode_policy
from shared.settings import BrokerSettings

# The broker knows how many entries there are, but a stream's count may run behind: after the last one, so much silence.
_SILENCE_S = 1.0
# So much is enough once that was read which this process has read or published before.
_SHORT_SILENCE_S = 0.15
_READ_DEADLINE_S = 15.0
_Place = tuple[str, int, str]
# The highest version that was read or published, by broker.
_seen: dict[_Place, int] = {}


def note_published(broker: BrokerSettings, version: int) -> None:
    """Remember a version that the broker has taken from this process: the next reading waits for it, and not longer."""
    _seen[_place(broker)] = version


async def read_stream(broker: BrokerSettings) -> list[PolicyEntry]:
    """Return all readable entries of the policy stream. Raises ActionError."""
    place = _place(broker)
    try:
        async with asyncio.timeout(_READ_DEADLINE_S):
            connection = await open_connection(broker, "gatepost-command-policy")
            try:
                channel = await (await connection.channel(publisher_confirms=False)).get_underlay_channel()
                bodies: asyncio.Queue[bytes] = asyncio.Queue()

                async def take(message: DeliveredMessage) -> None:
                    bodies.put_nowait(message.body)
                    await channel.basic_ack(message.delivery_tag or 0, wait=False)

                declared = await channel.queue_declare(Queue.POLICY.value, passive=True)
                await channel.basic_qos(prefetch_count=200)
                await channel.basic_consume(Queue.POLICY.value, take, arguments={"x-stream-offset": "first"})
                entries = await _entries(bodies, declared.message_count or 0, _seen.get(place, 0))
            finally:
                await connection.close()
    except (AMQPError, OSError, TimeoutError) as error:
        raise ActionError(f"the policy stream cannot be read: {type(error).__name__}: {error}") from None
    _seen[place] = max((entry.version for entry in entries), default=0)
    return entries


async def _entries(bodies: "asyncio.Queue[bytes]", expected: int, known: int) -> list[PolicyEntry]:
    entries: list[PolicyEntry] = []
    seen, highest = 0, 0
    while True:
        silence_s = _SHORT_SILENCE_S if 0 < known <= highest else _SILENCE_S
        try:
            async with asyncio.timeout(_READ_DEADLINE_S if seen < expected else silence_s):
                body = await bodies.get()
        except TimeoutError:
            return entries
        seen += 1
        with contextlib.suppress(ValueError):
            entries.append(decode_policy(body))
            highest = max(highest, entries[-1].version)


def _place(broker: BrokerSettings) -> _Place:
    return broker.host, broker.port, broker.vhost
