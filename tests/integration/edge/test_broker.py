"""The whole edge process, in this loop, with a real RabbitMQ node and a small content stage of our own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.edge import app
from services.edge.app import Edge
from services.edge.settings import EdgeSettings, ListenerSettings
from services.edge.sockets import bind
from shared.accounts import AccountBook, encode_accounts
from shared.broker.connect import Link
from shared.broker.consume import Consumer, Delivery, ReplyQueue
from shared.broker.publish import Publisher, PublishError
from shared.broker.topology import Exchange, Key, Queue
from shared.policy_entry import PolicyEntry, encode_policy
from shared.reply import Reply
from shared.settings import HealthSettings
from shared.verdict import Action
from shared.wire import Judgement, Said, decode_said, encode_judgement, read_envelope, read_reply_to
from tests.integration.edge.gate import ACCOUNTS, POLICY, Client, id_in
from tests.rabbit import Rabbit

REFUSED = Reply(550, "5.7.1", "Message refused: malware found")


async def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until it holds; what is waited for are other processes."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


class Content:
    """Gives one verdict to all messages, and keeps what was said of them."""

    def __init__(self, rabbit: Rabbit) -> None:
        settings = rabbit.settings("content")
        self.publishing, self.consuming = Link(settings, "content-p"), Link(settings, "content-c")
        self.publisher = Publisher(self.publishing)
        self.said: list[Said] = []
        self.taken: list[Delivery] = []
        self.reply: Reply | None = Reply(250, "2.0.0", "fine")
        ReplyQueue(self.consuming, "content", Exchange.SAID, "said-1", lambda body: self.said.append(decode_said(body)))
        self.consumer = Consumer(self.consuming, Queue.CONTENT.value, 50, self.take)

    async def take(self, delivery: Delivery) -> None:
        self.taken.append(delivery)
        if self.reply is not None:
            await self.judge(delivery, self.reply)
        await delivery.ack()

    async def judge(self, delivery: Delivery, reply: Reply | None) -> None:
        to = read_reply_to(delivery.headers)
        assert to is not None
        envelope = read_envelope(delivery.message_type, delivery.headers)
        judgement = Judgement(envelope.id, "said-1", to.token)
        if reply is not None:
            judgement = Judgement(
                envelope.id, "said-1", to.token, Action.REFUSE, reply.code, reply.enhanced, reply.text
            )
        await self.publisher.publish(Exchange.VERDICT.value, to.key, encode_judgement(judgement), persistent=False)

    async def beat(self) -> None:
        while True:
            with contextlib.suppress(PublishError):
                body = f'{{"key": "said-1", "at": {time.time()}}}'.encode()
                await self.publisher.publish(Exchange.HEARTBEAT.value, "", body, persistent=False, deadline_s=2)
            await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def content(rabbit: Rabbit) -> AsyncIterator[Content]:
    stage = Content(rabbit)
    stage.publishing.start()
    stage.consuming.start()
    async with asyncio.timeout(20):
        await stage.publishing.wait_up()
        await stage.consuming.wait_up()
    beating = asyncio.create_task(stage.beat())
    try:
        yield stage
    finally:
        beating.cancel()
        await stage.consuming.close()
        await stage.publishing.close()


async def administer(rabbit: Rabbit, policy_text: str, version: int = 1) -> None:
    """Put policy and accounts on their streams, as the console does."""
    link = Link(rabbit.settings("console"), "console")
    publisher = Publisher(link)
    link.start()
    entry = PolicyEntry(version, "test", "test", time.time(), policy_text)
    await publisher.publish(Exchange.POLICY.value, Key.POLICY.value, encode_policy(entry), message_id="p")
    await publisher.publish(
        Exchange.ACCOUNTS.value, Key.ACCOUNTS.value, encode_accounts(AccountBook(1, ACCOUNTS)), message_id="a"
    )
    await link.close()


def edge_of(rabbit: Rabbit, certificate: Path) -> Edge:
    """Return an edge that is not started."""
    names = ("mx", "chunked", "submission", "submissions", "relay")
    settings = EdgeSettings(
        hostname="gate.test",
        broker=rabbit.settings("edge"),
        health=HealthSettings(port=0),
        listeners={
            name: ListenerSettings(port=0, certificate_file=certificate, key_file=certificate) for name in names
        },
    )
    return Edge(settings, bind(settings.listeners)[0])


@contextlib.asynccontextmanager
async def running(rabbit: Rabbit, certificate: Path, extra: str = "") -> AsyncIterator[Edge]:
    edge = edge_of(rabbit, certificate)
    await edge.start()
    serving = asyncio.create_task(edge.serve())
    try:
        await administer(rabbit, POLICY + extra)
        await until(lambda: edge.is_ready)
        yield edge
    finally:
        edge.request_stop()
        assert await serving == 0


@contextlib.asynccontextmanager
async def client(edge: Edge, listener: str = "mx") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.listeners.port(listener))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_the_listeners_open_with_the_first_policy(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge:
        assert edge.listeners.is_listening


async def test_the_verdict_is_given_while_the_session_is_open(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge, content(rabbit) as stage, client(edge) as one:
        stage.reply = REFUSED
        reply = await one.mail(b"Subject: x\r\n\r\nx\r\n")
        assert reply.startswith("550 5.7.1 Message refused: malware found")
        await until(lambda: len(stage.said) == 1)
        assert stage.said[0].code == 550
        assert stage.taken[0].body.endswith(b"Subject: x\r\n\r\nx\r\n")
        # After a redelivery content asks again, and learns the same for an hour.
        await stage.judge(stage.taken[0], None)
        await until(lambda: len(stage.said) == 2)
        assert stage.said[1].code == 550


async def test_without_a_verdict_the_deadline_says_250(rabbit: Rabbit, certificate: Path) -> None:
    deadline = "[verdict]\ndeadline_s = 0.5\n"
    async with running(rabbit, certificate, deadline) as edge, content(rabbit) as stage, client(edge) as one:
        stage.reply = None
        reply = await one.mail(b"x\r\n")
        assert reply.startswith("250 2.0.0 queued as ")
        await stage.judge(stage.taken[0], REFUSED)
        await until(lambda: len(stage.said) == 1)
        assert (stage.said[0].id, stage.said[0].code) == (id_in(reply), 250)


async def test_a_memory_alarm_is_421_and_451_never_250(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge, content(rabbit), client(edge) as one, client(edge) as other:
        await one.begin()
        await other.hello()
        with rabbit.memory_alarm():
            # The alarm reaches a publisher with its next publish; this is the one.
            assert (await one.say("DATA")).startswith("354")
            await one.send(b"x\r\n.\r\n")
            assert (await one.reply()).startswith("451 4.3.0 ")
            await until(lambda: edge.publishing.is_blocked)
            assert (await other.say("MAIL FROM:<x@away.test>")).startswith("451 4.3.2")
            async with client(edge) as late:
                assert (await late.reply()).startswith("421 4.3.2")
            assert not edge.is_ready
        await until(lambda: edge.is_ready)
        async with client(edge) as after:
            assert (await after.mail(b"x\r\n")).startswith("250")


async def test_an_unknown_publish_is_said_451_to_whoever_finds_it_later(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge, content(rabbit) as stage, client(edge) as one:
        await one.begin()
        await one.say("DATA")
        with rabbit.memory_alarm():
            await one.send(b"x\r\n.\r\n")
            reply = await one.reply()
            assert reply.startswith("451 4.3.0 ")
        # The frames were in the socket: once the alarm is over, the broker takes the message all the same.
        await until(lambda: len(stage.said) >= 1)
        assert (stage.said[0].id, stage.said[0].code) == (id_in(reply), 451)


async def test_the_broker_restarted_the_edge_comes_back_by_itself(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge:
        await asyncio.to_thread(rabbit.kill)
        # Each of edge's two connections learns of it in its own time; sessions are begun by what publishing knows.
        await until(lambda: not edge.publishing.is_up)
        async with client(edge) as late:
            assert (await late.reply()).startswith("421 4.3.2")
        await asyncio.to_thread(rabbit.start)
        await until(lambda: edge.is_ready, 60)
        async with content(rabbit), client(edge) as after:
            assert (await after.mail(b"x\r\n")).startswith("250")


async def test_a_closed_reply_channel_is_opened_again(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge, content(rabbit) as stage:
        await asyncio.to_thread(rabbit.close_connections, "edge")
        await until(lambda: not edge.is_ready)
        await until(lambda: edge.is_ready)
        stage.reply = REFUSED
        async with client(edge) as one:
            assert (await one.mail(b"x\r\n")).startswith("550 5.7.1")


async def test_a_large_message_takes_the_queue_of_large_ones(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge, content(rabbit) as stage, client(edge) as one:
        large: list[Delivery] = []

        async def take(delivery: Delivery) -> None:
            large.append(delivery)
            await stage.judge(delivery, Reply(250, "2.0.0", "fine"))
            await delivery.ack()

        link = Link(rabbit.settings("content"), "large")
        Consumer(link, Queue.CONTENT_LARGE.value, 2, take)
        link.start()
        body = b"x" * 76 + b"\r\n"
        reply = await one.mail(body * 40_000)
        await link.close()
        assert reply.startswith("250")
        assert large[0].body.endswith(body * 40_000)
        assert not stage.taken


async def test_a_deleted_reply_queue_is_made_again(rabbit: Rabbit, certificate: Path) -> None:
    async with running(rabbit, certificate) as edge, content(rabbit) as stage:
        names = (await asyncio.to_thread(rabbit.node.control, "list_queues", "name", "--no-table-headers")).split()
        queue = next(name for name in names if name.startswith("gatepost.reply.edge."))
        await asyncio.to_thread(rabbit.node.control, "delete_queue", queue)
        await until(lambda: edge.is_ready)
        stage.reply = REFUSED
        async with client(edge) as one:
            assert (await one.mail(b"x\r\n")).startswith("550 5.7.1")


async def test_a_reply_queue_that_stays_dead_ends_the_process(
    rabbit: Rabbit, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_STUCK_S", 1.5)
    edge = edge_of(rabbit, certificate)
    await edge.start()
    serving = asyncio.create_task(edge.serve())
    await until(lambda: edge.consuming.is_up)
    monkeypatch.setattr(ReplyQueue, "is_consuming", property(lambda _: False))
    async with asyncio.timeout(30):
        assert await serving == 1
