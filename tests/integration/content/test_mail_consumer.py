"""A mail's way through content on a real broker, with edge played by the test: DESIGN §4, steps 2 to 5."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from services.content.authenticity import Authenticator
from services.content.brake import Brake
from services.content.carry_out import CarryOut
from services.content.consumer import MailConsumer, Parts
from services.content.conversation import Conversation
from services.content.engines.scan import Clean, EngineError, Infected, ScanResult
from services.content.examine import Engines, Examiner
from services.content.inspector import Inspector
from services.content.settings import IsolationSettings
from shared.broker.connect import Link
from shared.broker.consume import Consumer, Delivery, ReplyQueue
from shared.broker.events import EventSender
from shared.broker.in_force import PolicyInForce
from shared.broker.publish import Publisher
from shared.broker.topology import LARGE_BYTES, Exchange, Key, Queue
from shared.dns.patience import Patience
from shared.dns.resolver import CachingResolver
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.event import EventKind, Stage, decode_events
from shared.ids import new_id
from shared.policy_entry import PolicyEntry, encode_policy
from shared.state.memory import MemoryState
from shared.verdict import verdict_facts
from shared.wire import (
    MAIL_TYPE,
    Judgement,
    ReplyTo,
    Said,
    decode_judgement,
    encode_said,
    mail_headers,
    read_envelope,
    read_note,
)
from tests.rabbit import Rabbit

POLICY = """
# Nothing of the sender's is in DNS here.
checks.dmarc.enabled = false
[domains."a.test"]
route = "mx"
recipients = "any"
[domains."b.test"]
route = "mx"
recipients = "any"
checks.antivirus.infected = "accept"
"""
MESSAGE = b"From: x@a.test\r\nSubject: hello\r\n\r\nbody\r\n"
TOKEN = "token"
OURS = "mx.gatepost.test"
EDGE_KEY = "edgekey"


class Engine:
    """An engine whose word the test sets."""

    def __init__(self) -> None:
        self.word: ScanResult | EngineError = Clean("ClamAV")

    async def scan(self, data: bytes) -> ScanResult:
        if isinstance(self.word, EngineError):
            raise self.word
        return self.word


@dataclass
class World:
    """The broker, one content process, and the test as edge, delivery and quarantine."""

    engine: Engine
    content: Publisher
    edge: Publisher
    admin: Publisher
    events: EventSender
    answer: Callable[[Judgement], int | None] = lambda _judgement: 250
    judgements: list[Judgement] = field(default_factory=list)
    delivered: "asyncio.Queue[Delivery]" = field(default_factory=asyncio.Queue)
    quarantined: "asyncio.Queue[Delivery]" = field(default_factory=asyncio.Queue)
    told: "asyncio.Queue[Delivery]" = field(default_factory=asyncio.Queue)
    saying: set["asyncio.Task[None]"] = field(default_factory=set)

    async def send(
        self,
        *recipients: str,
        key: Key = Key.CONTENT,
        wait: bool = True,
        message: bytes = MESSAGE,
        bypass: tuple[str, ...] = (),
        publisher: Publisher | None = None,
    ) -> Envelope:
        envelope = Envelope(
            id=new_id(),
            received_at=time.time(),
            listener="mx",
            direction=Direction.INBOUND,
            client=Client("192.0.2.1", 25, "client.test"),
            sender="x@a.test",
            recipients=tuple(Recipient(address) for address in recipients or ("y@a.test",)),
            size_bytes=len(message),
            bypass=bypass,
            released_by="nobody" if bypass else "",
        )
        headers = mail_headers(envelope, ReplyTo(EDGE_KEY, TOKEN) if wait else None)
        await (publisher or self.edge).publish(
            Exchange.CONTENT.value, key.value, message, headers=headers, message_type=MAIL_TYPE, message_id=envelope.id
        )
        return envelope

    def on_judgement(self, body: bytes) -> None:
        judgement = decode_judgement(body)
        self.judgements.append(judgement)
        code = self.answer(judgement)
        if code is not None:
            said = encode_said(Said(judgement.id, TOKEN, code))
            task = asyncio.create_task(self.edge.publish(Exchange.SAID.value, judgement.said_key, said))
            self.saying.add(task)
            task.add_done_callback(self.saying.discard)


async def counts(rabbit: Rabbit) -> dict[str, int]:
    """Return the number of messages in each durable queue (ready and unacked)."""
    text = await asyncio.to_thread(rabbit.node.control, "list_queues", "--silent", "name", "messages")
    rows = [line.split("\t") for line in str(text).splitlines() if "\t" in line]
    return {name: int(number) for name, number in rows if number.isdigit()}


async def until_empty(rabbit: Rabbit, queue: Queue) -> None:
    """Wait until the broker counts no message in a queue."""
    await until_count(rabbit, queue.value, 0)


async def until_count(rabbit: Rabbit, queue: str, wanted: int) -> None:
    """Wait until the broker counts so many messages in a queue; its figures lag behind."""
    async with asyncio.timeout(20):
        while (await counts(rabbit)).get(queue) != wanted:
            await asyncio.sleep(0.1)


@pytest.fixture
async def world(rabbit: Rabbit) -> AsyncIterator[World]:
    links = {
        name: Link(rabbit.settings(user), name)
        for name, user in (("content-publish", "content"), ("content", "content"), ("edge", "edge"), ("admin", "admin"))
    }
    engine = Engine()
    content, edge, admin = (Publisher(links[name]) for name in ("content-publish", "edge", "admin"))
    events = EventSender(content, Stage.CONTENT)
    here = World(engine, content, edge, admin, events)
    policy = PolicyInForce(links["content"])
    conversation = Conversation(content, "contentkey", silence_s=0.5)
    ReplyQueue(links["content"], "content", Exchange.SAID, "contentkey", conversation.on_said)
    ReplyQueue(links["edge"], "edge", Exchange.VERDICT, EDGE_KEY, here.on_judgement)
    resolver = CachingResolver([])
    brake = Brake(MemoryState())
    engines = Engines(
        antivirus=engine,
        antispam=None,
        inspector=Inspector(IsolationSettings()),
        authenticator=Authenticator(Patience(resolver, 10), OURS),
        brake=brake,
    )
    examiner = Examiner(engines, time_limit_s=5)
    parts = Parts(content, events, policy, conversation, examiner, brake, CarryOut(content, events, OURS))
    for queue in (Queue.CONTENT, Queue.CONTENT_SUSPECT):
        Consumer(links["content"], queue.value, 5, MailConsumer(parts, queue))

    async def take(into: "asyncio.Queue[Delivery]", delivery: Delivery) -> None:
        await delivery.ack()
        into.put_nowait(delivery)

    Consumer(links["admin"], Queue.DELIVERY.value, 5, lambda delivery: take(here.delivered, delivery))
    Consumer(links["admin"], Queue.QUARANTINE.value, 5, lambda delivery: take(here.quarantined, delivery))
    Consumer(links["admin"], Queue.EVENTS.value, 5, lambda delivery: take(here.told, delivery))
    for link in links.values():
        link.start()
    async with asyncio.timeout(15):
        for link in links.values():
            await link.wait_up()
        entry = PolicyEntry(1, "test", "test", 0.0, POLICY)
        await admin.publish(Exchange.POLICY.value, Key.POLICY.value, encode_policy(entry))
        await policy.wait_known()
    yield here
    for link in links.values():
        await link.close()
    await resolver.close()


async def within(wait: "asyncio.Queue[Delivery]") -> Delivery:
    async with asyncio.timeout(10):
        return await wait.get()


async def test_an_accepted_message_goes_on_after_edge_said_250(world: World, rabbit: Rabbit) -> None:
    envelope = await world.send()
    got = await within(world.delivered)
    assert got.body.endswith(MESSAGE)
    assert read_envelope(got.message_type, got.headers).id == envelope.id
    assert [judgement.code for judgement in world.judgements] == [250]
    await until_empty(rabbit, Queue.CONTENT)


async def test_a_release_that_comes_from_edge_is_none(world: World) -> None:
    world.engine.word = Infected("ClamAV", "X")
    world.answer = lambda judgement: judgement.code
    await world.send(bypass=("antivirus.infected",))
    async with asyncio.timeout(10):
        while not world.judgements:
            await asyncio.sleep(0.01)
    assert world.judgements[0].code == 550


@pytest.mark.parametrize("code", [451, 550])
async def test_a_message_whose_sender_was_told_no_is_dropped(world: World, rabbit: Rabbit, code: int) -> None:
    world.answer = lambda _judgement: code
    await world.send()
    await until_empty(rabbit, Queue.CONTENT)
    assert world.delivered.empty()
    assert world.quarantined.empty()


async def test_a_refused_message_that_edge_had_already_taken_goes_to_quarantine(world: World) -> None:
    world.engine.word = Infected("ClamAV", "Eicar")
    await world.send()
    note = read_note((await within(world.quarantined)).headers)
    assert note is not None
    assert (note.reason, note.check) == ("refuse", "antivirus")
    assert world.judgements[0].code == 550


async def test_trace_quarantine_and_log_hold_the_same_record(world: World) -> None:
    world.engine.word = Infected("ClamAV", "Eicar")
    with capture_logs() as logs:
        envelope = await world.send()
        held = await within(world.quarantined)
    await world.events.close()
    verdict = read_envelope(held.message_type, held.headers).verdict
    assert verdict is not None
    decisive = verdict.reasons[0]
    assert (decisive.rule, decisive.evidence) == ("checks.antivirus.infected", "ClamAV found Eicar.")
    assert decisive.input
    assert decisive.change
    record = verdict_facts(verdict)
    judged = [one for one in decode_events((await within(world.told)).body) if one.kind is EventKind.JUDGED]
    assert [(one.id, one.facts["verdicts"]) for one in judged] == [(envelope.id, {"a.test": record})]
    logged = [entry for entry in logs if entry["event"] == "verdict"]
    assert [{name: entry[name] for name in ("id", "domain", "policy_version", *record)} for entry in logged] == [
        {"id": envelope.id, "domain": "a.test", "policy_version": 1, **record}
    ]


async def test_a_dead_engine_defers_and_never_accepts(world: World, rabbit: Rabbit) -> None:
    world.engine.word = EngineError("down")
    await world.send()
    await until_count(rabbit, "gatepost.content.retry.10s", 1)
    assert world.judgements[0].code == 451
    assert world.delivered.empty()


async def test_a_deferred_message_is_judged_again_after_its_rung(world: World) -> None:
    world.engine.word = EngineError("down")
    await world.send()
    async with asyncio.timeout(10):
        while not world.judgements:
            await asyncio.sleep(0.05)
    world.engine.word = Clean("ClamAV")
    async with asyncio.timeout(20):
        got = await world.delivered.get()
    assert read_envelope(got.message_type, got.headers).retry.attempts == 1
    assert len(world.judgements) == 1


async def test_mixed_verdicts_are_answered_250_and_split(world: World) -> None:
    world.engine.word = Infected("ClamAV", "Eicar")
    await world.send("y@a.test", "z@b.test")
    kept = await within(world.quarantined)
    passed = await within(world.delivered)
    assert world.judgements[0].code == 250
    assert [r.address for r in read_envelope(kept.message_type, kept.headers).recipients] == ["y@a.test"]
    assert [r.address for r in read_envelope(passed.message_type, passed.headers).recipients] == ["z@b.test"]


async def test_a_suspect_message_asks_first_and_a_no_ends_it(world: World, rabbit: Rabbit) -> None:
    world.answer = lambda _judgement: 550
    await world.send(key=Key.SUSPECT)
    await until_empty(rabbit, Queue.CONTENT_SUSPECT)
    assert [judgement.code for judgement in world.judgements] == [0]
    assert world.delivered.empty()


async def test_a_suspect_message_whose_client_still_waits_is_judged_as_usual(world: World) -> None:
    world.answer = lambda judgement: 250 if judgement.code else 0
    await world.send(key=Key.SUSPECT)
    await within(world.delivered)
    assert [judgement.code for judgement in world.judgements] == [0, 250]


async def test_a_message_whose_edge_is_gone_is_taken_as_answered_250(world: World) -> None:
    envelope = Envelope(
        new_id(),
        time.time(),
        "mx",
        Direction.OUTBOUND,
        Client("192.0.2.1", 25, "c"),
        "",
        (Recipient("y@a.test"),),
        5,
    )
    await world.edge.publish(
        Exchange.CONTENT.value,
        Key.CONTENT.value,
        MESSAGE,
        headers=mail_headers(envelope, ReplyTo("nobody", TOKEN)),
        message_type=MAIL_TYPE,
        message_id=envelope.id,
    )
    await within(world.delivered)


async def test_a_large_message_that_the_ladder_brings_back_takes_the_queue_for_large_ones(
    world: World, rabbit: Rabbit
) -> None:
    await world.send(wait=False, message=MESSAGE + b"x" * LARGE_BYTES)
    await until_count(rabbit, Queue.CONTENT_LARGE.value, 1)
    assert world.delivered.empty()


async def test_what_is_no_mail_is_kept_in_quarantine_as_it_came(world: World) -> None:
    await world.edge.publish(Exchange.CONTENT.value, Key.CONTENT.value, b"garbage", message_type="other")
    kept = await within(world.quarantined)
    note = read_note(kept.headers)
    assert kept.body == b"garbage"
    assert note is not None
    assert note.reason == "unreadable"


@pytest.mark.parametrize(("user", "passes"), [("console", True), ("edge", False)])
async def test_only_a_release_lets_a_mail_past_a_rule(world: World, rabbit: Rabbit, user: str, passes: bool) -> None:
    """The broker vouches for who has published: a broken-into edge cannot let its own mail past the scanner."""
    world.engine.word = Infected("ClamAV", "X")
    link = Link(rabbit.settings(user), "test-release")
    publisher = Publisher(link)
    link.start()
    try:
        async with asyncio.timeout(10):
            await link.wait_up()
        envelope = await world.send(publisher=publisher, wait=False, bypass=("antivirus.infected",))
        got = await within(world.delivered if passes else world.quarantined)
        assert read_envelope(got.message_type, got.headers).id == envelope.id
    finally:
        await link.close()
