"""The whole service on a real RabbitMQ: from its queue to the hop, the ladder, the quarantine, and to its orderly end."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from services.console.management import management
from services.delivery.app import DeliveryService
from services.delivery.settings import DeliverySettings
from shared.broker.connect import Link, open_connection
from shared.broker.consume import Consumer
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key, Queue
from shared.envelope import Envelope
from shared.event import Event, EventKind, decode_events
from shared.policy_entry import PolicyEntry, encode_policy
from shared.settings import HealthSettings
from shared.wire import MAIL_TYPE, mail_headers, read_envelope, read_note
from tests.integration.delivery.parts import MESSAGE, envelope_for, route_policy
from tests.nexthop import DISCONNECT, HANG, NextHop
from tests.rabbit import Rabbit


class Neighbours:
    """The other stages, as far as delivery meets them: content and console publish, the recorder reads."""

    def __init__(self, rabbit: Rabbit) -> None:
        self._rabbit = rabbit
        self._links = {user: Link(rabbit.settings(user), f"test-{user}") for user in ("content", "console")}
        self._publishers = {user: Publisher(link) for user, link in self._links.items()}

    async def __aenter__(self) -> "Neighbours":
        for link in self._links.values():
            link.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for link in self._links.values():
            await link.close()

    async def apply(self, policy: str, version: int = 1) -> None:
        entry = encode_policy(PolicyEntry(version, "test", "test", time.time(), policy))
        await self._publishers["console"].publish(Exchange.POLICY.value, Key.POLICY.value, entry)

    async def send(self, envelope: Envelope, message: bytes = MESSAGE) -> None:
        await self._publishers["content"].publish(
            Exchange.DELIVERY.value,
            Key.DELIVERY.value,
            message,
            headers=mail_headers(envelope),
            message_type=MAIL_TYPE,
            message_id=envelope.id,
        )

    @contextlib.asynccontextmanager
    async def reading(self, queue: Queue) -> AsyncIterator["asyncio.Queue[AbstractIncomingMessage]"]:
        came: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        connection = await open_connection(self._rabbit.settings("console"), "test-reader")
        async with connection:
            channel = await connection.channel()
            source = await channel.get_queue(queue.value, ensure=False)
            await source.consume(came.put, no_ack=False)
            yield came


async def _events_of(came: "asyncio.Queue[AbstractIncomingMessage]", message_id: str, last: EventKind) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(20):
        while not found or found[-1].kind is not last:
            message = await came.get()
            found += [event for event in decode_events(message.body) if event.id == message_id]
    return found


def _settings(rabbit: Rabbit, folder: Path) -> DeliverySettings:
    return DeliverySettings(
        hostname="gate.example", broker=rabbit.settings("delivery"), health=HealthSettings(port=0), data_dir=folder
    )


@contextlib.asynccontextmanager
async def _running(rabbit: Rabbit, folder: Path) -> AsyncIterator[DeliveryService]:
    service = DeliveryService(_settings(rabbit, folder))
    stop = asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    try:
        yield service
    finally:
        stop.set()
        assert await task == 0


async def _ready(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /readyz HTTP/1.1\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    return answer.split(" ", 2)[1]


def _delete(rabbit: Rabbit, queue: Queue) -> None:
    with management(rabbit.management_url, rabbit.settings("admin")) as broker:
        broker.delete("queues", broker.vhost, queue.value)


async def test_not_ready_and_nothing_taken_before_a_policy_is_known(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, Neighbours(rabbit) as others, _running(rabbit, tmp_path) as service:
        await others.send(envelope_for())
        assert await _ready(service.health.port) == "503"
        assert hop.connections == 0
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await hop.until(lambda: len(hop.mails) == 1)
        # The consumer of what has waited comes last.
        async with asyncio.timeout(20):
            while await _ready(service.health.port) != "200":
                await asyncio.sleep(0.05)


async def test_a_message_comes_to_its_hop_and_the_trace_tells_it(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, Neighbours(rabbit) as others, others.reading(Queue.EVENTS) as events:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        async with _running(rabbit, tmp_path):
            envelope = envelope_for()
            await others.send(envelope)
            told = await _events_of(events, envelope.id, EventKind.DELIVERED)
        assert [event.kind for event in told] == [EventKind.ATTEMPT, EventKind.DELIVERED]
        assert told[1].facts["reply"] == "250 2.0.0 taken as 4711"
        assert hop.mails[0].message == MESSAGE


async def test_a_split_message_comes_to_all_its_hops(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as first, NextHop() as second, Neighbours(rabbit) as others:
        await others.apply(
            route_policy(f"smtp://127.0.0.1:{first.port}")
            + route_policy(f"smtp://127.0.0.1:{second.port}", "two.example")
        )
        async with _running(rabbit, tmp_path):
            await others.send(envelope_for("a@example.org", "b@two.example"))
            await first.until(lambda: len(first.mails) == 1)
            await second.until(lambda: len(second.mails) == 1)


async def test_a_message_for_a_dead_hop_comes_again_and_is_delivered(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"greeting": [DISCONNECT, "220 back again"]}) as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}", more="[retry]\nconnection_steps_s = [5]\n"))
        async with _running(rabbit, tmp_path), others.reading(Queue.EVENTS) as events:
            envelope = envelope_for()
            await others.send(envelope)
            told = await _events_of(events, envelope.id, EventKind.DELIVERED)
        kinds = [event.kind for event in told]
        assert kinds == [EventKind.ATTEMPT, EventKind.RETRY, EventKind.ATTEMPT, EventKind.DELIVERED]


async def test_an_unproved_senders_failure_is_in_quarantine(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no"]}) as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        async with _running(rabbit, tmp_path), others.reading(Queue.QUARANTINE) as kept, asyncio.timeout(20):
            await others.send(envelope_for(proved=None))
            message = await kept.get()
            note = read_note(message.headers)
            assert note is not None
            assert note.reason == "undeliverable"
            assert message.body == MESSAGE


async def test_a_dsn_goes_the_same_way_as_other_mail(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no", "250 ok"]}) as hop, Neighbours(rabbit) as others:
        await others.apply(
            route_policy(f"smtp://127.0.0.1:{hop.port}")
            + route_policy(f"smtp://127.0.0.1:{hop.port}", "client.example")
        )
        async with _running(rabbit, tmp_path):
            await others.send(envelope_for())
            await hop.until(lambda: len(hop.mails) == 1)
        assert hop.mails[0].mail.startswith("MAIL FROM:<> ")
        assert b"report-type=delivery-status" in hop.mails[0].message


async def test_a_message_that_is_no_mail_does_not_stop_the_queue(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, Neighbours(rabbit) as others, others.reading(Queue.QUARANTINE) as kept:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        connection = await open_connection(rabbit.settings("content"), "test-nonsense")
        async with connection:
            exchange = await (await connection.channel()).get_exchange(Exchange.DELIVERY.value, ensure=False)
            await exchange.publish(aio_pika.Message(b"nonsense", type="x"), Key.DELIVERY.value)
        async with _running(rabbit, tmp_path), asyncio.timeout(20):
            await others.send(envelope_for())
            await hop.until(lambda: len(hop.mails) == 1)
            message = await kept.get()
            assert message.body == b"nonsense"


async def test_consuming_goes_on_after_the_broker_closed_the_connections(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        async with _running(rabbit, tmp_path):
            await others.send(envelope_for())
            await hop.until(lambda: len(hop.mails) == 1)
            await asyncio.to_thread(rabbit.close_connections, "delivery")
            await others.send(envelope_for())
            await hop.until(lambda: len(hop.mails) == 2)


async def test_consuming_goes_on_after_the_broker_cancelled_the_consumer(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        async with _running(rabbit, tmp_path) as service:
            await others.send(envelope_for())
            await hop.until(lambda: len(hop.mails) == 1)
            # The broker cancels the consumer of a queue that is deleted; the connection stays.
            await asyncio.to_thread(_delete, rabbit, Queue.DELIVERY)
            async with asyncio.timeout(20):
                while await _ready(service.health.port) == "200":
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(rabbit.install)
            await others.send(envelope_for())
            await hop.until(lambda: len(hop.mails) == 2)


async def test_connected_but_without_a_consumer_the_process_ends_with_an_error(
    rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.delivery.app._NO_CONSUMER_S", 0.3)
    monkeypatch.setattr("services.delivery.app._WATCH_EVERY_S", 0.1)
    # No broker can be brought to it on purpose: the link connects again as soon as it knows.
    monkeypatch.setattr(Consumer, "is_consuming", property(lambda _: False))
    async with Neighbours(rabbit) as others:
        await others.apply(route_policy("smtp://127.0.0.1:1"))
        async with asyncio.timeout(20):
            assert await DeliveryService(_settings(rabbit, tmp_path)).run(asyncio.Event()) == 1


# -- the process


async def _process(rabbit: Rabbit, folder: Path) -> asyncio.subprocess.Process:
    settings = _settings(rabbit, folder)
    file = folder / "delivery.toml"
    file.write_text(
        f'hostname = "gate.example"\ndata_dir = "{folder}"\n'
        f'[broker]\nport = {settings.broker.port}\nuser = "delivery"\n'
        f'password = "{settings.broker.password.get_secret_value()}"\n[health]\nport = 0\n'
    )
    file.chmod(0o600)
    environ = {**os.environ, "GATEPOST_SETTINGS_FILE": str(file)}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "services.delivery", env=environ)


async def test_sigterm_finishes_what_is_under_way_and_exits_with_0(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"message": ["250 2.0.0 at last"]}, pause_s=0.5) as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        process = await _process(rabbit, tmp_path)
        envelope = envelope_for()
        async with others.reading(Queue.EVENTS) as events:
            await others.send(envelope)
            await hop.until(lambda: "DATA" in hop.said)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await process.wait() == 0
            await _events_of(events, envelope.id, EventKind.DELIVERED)
        assert len(hop.mails) == 1


async def test_sigterm_does_not_wait_for_a_hop_that_does_not_answer(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"greeting": [HANG, "220 now"]}) as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        process = await _process(rabbit, tmp_path)
        await others.send(envelope_for())
        await hop.until(lambda: hop.connections == 1)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        # Nothing was said of the message, so it is still there, and comes once.
        async with _running(rabbit, tmp_path):
            await hop.until(lambda: len(hop.mails) == 1)


async def test_what_a_killed_process_had_under_way_comes_again(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"message": [HANG, "250 2.0.0 ok"]}) as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        process = await _process(rabbit, tmp_path)
        await others.send(envelope_for())
        await hop.until(lambda: len(hop.mails) == 1)
        process.kill()
        await process.wait()
        async with _running(rabbit, tmp_path):
            await hop.until(lambda: len(hop.mails) == 2)


@pytest.mark.parametrize("text", ["", 'hostname = "x"\nnonsense = 1\n'], ids=["no-file", "unknown-key"])
async def test_settings_that_cannot_be_used_end_the_process_with_78(text: str, tmp_path: Path) -> None:
    file = tmp_path / "delivery.toml"
    if text:
        file.write_text(text)
        file.chmod(0o600)
    environ = {**os.environ, "GATEPOST_SETTINGS_FILE": str(file)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.delivery", env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 78
    assert b"delivery.toml" in said


async def test_envelopes_on_the_ladder_are_read_back_as_they_were(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": ["450 4.2.1 later"]}) as hop, Neighbours(rabbit) as others:
        await others.apply(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        envelope = envelope_for()
        async with _running(rabbit, tmp_path), others.reading(Queue.EVENTS) as events:
            await others.send(envelope)
            await _events_of(events, envelope.id, EventKind.RETRY)
        connection = await open_connection(rabbit.settings("admin"), "test-ladder")
        async with connection:
            queue = await (await connection.channel()).get_queue("gatepost.delivery.retry.60s", ensure=False)
            message = await queue.get(timeout=10)
            again = read_envelope(message.type, message.headers)
        assert (again.id, again.recipients, again.retry.attempts) == (envelope.id, envelope.recipients, 1)
        assert message.body == MESSAGE
