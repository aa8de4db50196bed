"""Owns Gatepost's delivery as it is measured: the service and its broker, from the queue `gatepost.delivery`.

Input: envelopes and messages as content publishes them, of a user who has logged in. Output: what it delivers to the sink.
On failure: OSError, PublishError; NotProved when messages are left in its queues.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aio_pika.abc import AbstractChannel

from shared.broker.connect import Link, open_connection
from shared.broker.publish import Publisher
from shared.broker.topology import QUEUES, Exchange, Key, Queue
from shared.envelope import Client, Direction, Envelope, Proof, Recipient
from shared.ids import new_id
from shared.policy_entry import PolicyEntry, encode_policy
from shared.wire import MAIL_TYPE, mail_headers
from tests.bench.lab.child import Child
from tests.bench.lab.packages import gatepost_versions
from tests.bench.peer import RECIPIENT, SENDER, Lab, NotProved, Roles
from tests.bench.queues.full import CONNECTIONS
from tests.rabbit import Rabbit

_ROOT = Path(__file__).parents[3]
_AT_ONCE = 200
_STAYS = "stream"

_POLICY = """\
default_route = "smtp://127.0.0.1:{sink_port}"
[domains."ours.bench.test"]
route = "smtp://127.0.0.1:{sink_port}"
recipients = "any"
[delivery]
tls = "off"
connections_per_hop = {connections}
"""

_SETTINGS = """\
hostname = "gate.bench.test"
{extra}
[broker]
port = {broker_port}
user = "delivery"
password = "{password}"
[health]
port = 0
[dns]
nameservers = ["127.0.0.1:{dead_port}"]
[log]
level = "warning"
"""

_Published = tuple[Exchange, Key, bytes, dict[str, str], str | None, str]


class GatepostQueue:
    """A RabbitMQ with a queue to fill, and delivery processes to empty it."""

    title = "Gatepost (delivery, RabbitMQ)"

    def __init__(self, lab: Lab, *, processes: int = 1, prefetch: int | None = None) -> None:
        """prefetch: None for the service's own default."""
        self._folder = lab.folder / "gatepost"
        self._folder.mkdir()
        self._sink_port = lab.sink_port
        self._dead_port = lab.ports.take()
        self._processes = processes
        self._extra = "" if prefetch is None else f"prefetch = {prefetch}"
        self._rabbit = Rabbit(self._folder)

    def start(self) -> None:
        """Start the broker and put the policy in force."""
        self._rabbit.start()
        self._rabbit.install()
        text = _POLICY.format(sink_port=self._sink_port, connections=CONNECTIONS)
        policy = encode_policy(PolicyEntry(1, "bench", "bench", time.time(), text))
        asyncio.run(self._publish("console", [(Exchange.POLICY, Key.POLICY, policy, {}, None, "")]))

    def stop(self) -> None:
        """Stop the broker."""
        self._rabbit.stop()

    def fill(self, message: Path, count: int) -> None:
        """Publish a message so many times, each confirmed."""
        body = message.read_bytes().replace(b"\n", b"\r\n")
        envelopes = [_envelope(len(body)) for _ in range(count)]
        mails = [
            (Exchange.DELIVERY, Key.DELIVERY, body, mail_headers(envelope), envelope.id, MAIL_TYPE)
            for envelope in envelopes
        ]
        asyncio.run(self._publish("content", mails))

    @contextmanager
    def delivering(self) -> Iterator[Roles]:
        """Run the delivery service."""
        settings = self._folder / "delivery.toml"
        settings.write_text(
            _SETTINGS.format(
                extra=self._extra,
                broker_port=self._rabbit.port,
                password=self._rabbit.passwords["delivery"],
                dead_port=self._dead_port,
            )
        )
        settings.chmod(0o600)
        argv = [sys.executable, "-m", "services.delivery"]
        env = {"GATEPOST_SETTINGS_FILE": str(settings)}
        children = [
            Child(argv, self._folder / f"{number}.log", env=env, cwd=_ROOT) for number in range(self._processes)
        ]
        try:
            yield {"delivery": [child.pid for child in children], "broker": [self._rabbit.node.pid]}
        finally:
            for child in children:
                child.stop()

    def audit(self, messages: int) -> str:
        """Find no mail left in any queue."""
        left = {name: count for name, count in asyncio.run(self._counts()).items() if count}
        if left:
            raise NotProved(f"{self.title}: mail is left in its queues: {left}")
        return f"none of the {messages} messages is left in the queues of delivery, its retries or the quarantine"

    def versions(self) -> Mapping[str, str]:
        """Name the commit of this checkout and the broker."""
        return gatepost_versions()

    async def _publish(self, user: str, mails: Sequence[_Published]) -> None:
        link = Link(self._rabbit.settings(user), "bench")
        publisher = Publisher(link)
        link.start()
        try:
            for start in range(0, len(mails), _AT_ONCE):
                await asyncio.gather(
                    *(
                        publisher.publish(
                            exchange.value, key.value, body, headers=headers, message_id=message_id, message_type=kind
                        )
                        for exchange, key, body, headers, message_id, kind in mails[start : start + _AT_ONCE]
                    )
                )
        finally:
            await link.close()

    async def _counts(self) -> dict[str, int]:
        """Return how many messages, taken and not yet acknowledged too, each queue of mail holds."""
        mail = [
            spec.name for spec in QUEUES if spec.arguments["x-queue-type"] != _STAYS and spec.name != Queue.EVENTS.value
        ]
        async with await open_connection(self._rabbit.settings("admin"), "bench") as connection:
            channel = await connection.channel()
            return {name: await _count(channel, name) for name in mail}


async def _count(channel: AbstractChannel, queue: str) -> int:
    declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count or 0


def _envelope(size_bytes: int) -> Envelope:
    return Envelope(
        id=new_id(),
        received_at=time.time(),
        listener="submission",
        direction=Direction.OUTBOUND,
        client=Client("192.0.2.9", 4711, "client.bench.test", login="user"),
        sender=SENDER,
        recipients=(Recipient(RECIPIENT),),
        size_bytes=size_bytes,
        proved=Proof.LOGIN,
    )
