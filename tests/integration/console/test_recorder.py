"""The recorder on a real broker, into SQLite and PostgreSQL."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import Table, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from services.console.database import Database
from services.console.recorder import Recorder
from services.console.store import HOP_KEPT_S
from services.console.tables import events, hops, messages, quarantine, tls_seen, unreadable
from shared.broker.connect import Link, open_connection
from shared.broker.events import EVENTS_TYPE, EventSender
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key, Queue
from shared.dmarc_seen import DAY_S
from shared.event import EventKind, Stage, encode_events
from shared.ids import new_id
from shared.tls_seen import TlsPolicy, TlsResult, TlsSeen, seen_facts
from shared.wire import MAIL_TYPE, mail_headers
from tests.integration.console.mail import MESSAGE, NOTE, delivered_story, envelope, event
from tests.integration.console.postgres import Postgres
from tests.rabbit import Rabbit


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events need not gather for long where a test waits for each, nor a database be left alone for seconds."""
    monkeypatch.setattr("services.console.recorder._GATHER_S", 0.02)
    monkeypatch.setattr("services.console.recorder._PAUSE_AFTER_FAILURE_S", 0.2)


@contextlib.asynccontextmanager
async def recording(rabbit: Rabbit, database: Database) -> AsyncIterator[Recorder]:
    link = Link(rabbit.settings("console"), "test-recorder")
    recorder = Recorder(link, database)
    recorder.start()
    link.start()
    try:
        async with asyncio.timeout(10):
            await link.wait_up()
        yield recorder
    finally:
        await recorder.close(deadline_s=3)
        await link.close()


@contextlib.asynccontextmanager
async def publishing(rabbit: Rabbit, user: str) -> AsyncIterator[Publisher]:
    link = Link(rabbit.settings(user), f"test-{user}")
    publisher = Publisher(link)
    link.start()
    try:
        yield publisher
    finally:
        await link.close()


async def tell(publisher: Publisher, body: bytes) -> None:
    await publisher.publish(Exchange.EVENTS.value, Key.EVENTS.value, body, message_type=EVENTS_TYPE)


async def until(holds: Callable[[], Awaitable[bool]], deadline_s: float = 20) -> None:
    """Wait for what another process does; there is no event to wait for but its row."""
    async with asyncio.timeout(deadline_s):
        while not await holds():
            await asyncio.sleep(0.05)


async def count(database: Database, table: Table) -> int:
    async with database.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def waiting(rabbit: Rabbit, queue: Queue) -> int:
    """How many messages wait in a queue, not counting those that a consumer holds."""
    connection = await open_connection(rabbit.settings("admin"), "test-count")
    try:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue.value, passive=True)
        return declared.declaration_result.message_count or 0
    finally:
        await connection.close()


async def test_what_the_stages_tell_becomes_rows_and_one_summary(rabbit: Rabbit, database: Database) -> None:
    message_id = new_id()
    async with recording(rabbit, database), publishing(rabbit, "edge") as publisher:
        sender = EventSender(publisher, Stage.EDGE)
        sender.start()
        sender.tell(message_id, EventKind.RECEIVED, sender="a@example.org", recipients=["demo@gatepost.test"])
        sender.tell(message_id, EventKind.ANSWERED, reply="550 5.7.1 no", waited_s=0.1, verdict="refuse")
        await until(lambda: _has(database, events, 2))
        await sender.close()
    async with database.reading() as connection:
        row = (await connection.execute(select(messages))).one()
    assert (row.id, row.state, row.sender, row.recipients) == (
        message_id, "refused", "a@example.org", "demo@gatepost.test",
    )  # fmt: skip


async def test_the_latest_word_on_a_hop_stands_for_each_host_and_no_message_is_made_of_it(
    rabbit: Rabbit, database: Database
) -> None:
    at, hop = time.time(), "smtp://one.test:25"
    shut = event("h1", Stage.DELIVERY, EventKind.HOP, at, hop=hop, state="shut", cause="refused", until=at + 60)
    opened = event("h2", Stage.DELIVERY, EventKind.HOP, at + 1, hop=hop, state="open", cause="")
    elsewhere = replace(event("h3", Stage.DELIVERY, EventKind.HOP, at, hop=hop, state="slow", cause=""), host="host2")
    forgotten = event("h4", Stage.DELIVERY, EventKind.HOP, at - HOP_KEPT_S - 9, hop="mx:a.test", state="shut", cause="")
    async with recording(rabbit, database), publishing(rabbit, "edge") as publisher:
        for batch in ([opened, elsewhere], [shut, forgotten]):
            await tell(publisher, encode_events(batch))
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _has(database, events, 7))
    async with database.reading() as connection:
        rows = await connection.execute(select(hops.c.host, hops.c.state, hops.c.until).order_by(hops.c.host))
        assert list(map(tuple, rows)) == [("host1", "open", None), ("host2", "slow", None)]
    assert await count(database, messages) == 1


async def test_what_was_seen_of_tls_is_gathered_for_its_report(rabbit: Rabbit, database: Database) -> None:
    facts = seen_facts(TlsSeen("a.test", TlsPolicy(), TlsResult.SUCCESS))
    seen = event("t1", Stage.DELIVERY, EventKind.TLS_SEEN, DAY_S * 3.5, **facts)
    odd = event("t2", Stage.DELIVERY, EventKind.TLS_SEEN, DAY_S * 3.5, domain=7)
    async with recording(rabbit, database), publishing(rabbit, "edge") as publisher:
        await tell(publisher, encode_events([seen, odd]))
        await until(lambda: _has(database, tls_seen, 1))
    async with database.reading() as connection:
        row = (await connection.execute(select(tls_seen))).one()
    assert (row.uid, row.day, row.domain) == (seen.uid, 3, "a.test")
    assert await count(database, messages) == 0


async def test_a_batch_that_comes_twice_is_written_once(rabbit: Rabbit, database: Database) -> None:
    body = encode_events(delivered_story(new_id()))
    async with recording(rabbit, database), publishing(rabbit, "edge") as publisher:
        await tell(publisher, body)
        await until(lambda: _has(database, events, 7))
        await tell(publisher, body)
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _has(database, events, 14))
    assert await count(database, messages) == 2


async def test_parts_of_a_story_may_come_in_any_order(rabbit: Rabbit, database: Database) -> None:
    story = delivered_story(new_id())
    async with recording(rabbit, database), publishing(rabbit, "edge") as publisher:
        for part in reversed(story):
            await tell(publisher, encode_events([part]))
            await until(lambda part=part: _has(database, events, len(story) - story.index(part)))  # type: ignore[misc]
    async with database.reading() as connection:
        row = (await connection.execute(select(messages))).one()
    assert (row.state, row.verdict, row.subject, row.first_seen, row.last_seen) == (
        "delivered", "accept", "Grüße", story[0].at, story[-1].at,
    )  # fmt: skip


async def test_quarantined_mail_is_kept_byte_for_byte_with_its_reason(rabbit: Rabbit, database: Database) -> None:
    mail = envelope(new_id())
    async with recording(rabbit, database), publishing(rabbit, "content") as publisher:
        for _ in range(2):
            await publisher.publish(
                Exchange.QUARANTINE.value, Key.QUARANTINE.value, MESSAGE,
                headers=mail_headers(mail, note=NOTE), message_type=MAIL_TYPE, message_id=mail.id,
            )  # fmt: skip
        await until(lambda: _has(database, quarantine, 1))
    async with database.reading() as connection:
        row = (await connection.execute(select(quarantine))).one()
    assert (row.id, row.reason, row.check, row.message, row.state) == (
        mail.id, "refuse", "antivirus", MESSAGE, "held",
    )  # fmt: skip
    assert (row.sender, row.recipients, row.subject) == ("m@example.org", "demo@gatepost.test", "Grüße")


async def test_what_the_broker_dead_letters_is_kept_as_poison(rabbit: Rabbit, database: Database) -> None:
    mail = envelope(new_id())
    async with publishing(rabbit, "content") as publisher:
        await publisher.publish(
            Exchange.DELIVERY.value, Key.DELIVERY.value, MESSAGE,
            headers=mail_headers(mail), message_type=MAIL_TYPE, message_id=mail.id,
        )  # fmt: skip
    connection = await open_connection(rabbit.settings("delivery"), "test-rejects")
    channel = await connection.channel()
    taken = await (await channel.get_queue(Queue.DELIVERY.value, ensure=False)).get(timeout=5)
    await taken.reject(requeue=False)
    await connection.close()
    async with recording(rabbit, database):
        await until(lambda: _has(database, quarantine, 1))
    async with database.reading() as reader:
        row = (await reader.execute(select(quarantine))).one()
        state = await reader.scalar(select(messages.c.state).where(messages.c.id == mail.id))
        told = (await reader.execute(select(events.c.kind).where(events.c.id == mail.id))).scalars().all()
    assert (row.id, row.reason, row.message) == (mail.id, "poison", MESSAGE)
    assert "gatepost.delivery" in row.evidence
    # No stage tells of it, so the recorder does.
    assert (state, told) == ("quarantined", ["quarantined"])


async def test_quarantined_mail_that_nobody_can_parse_is_kept(rabbit: Rabbit, database: Database) -> None:
    async with recording(rabbit, database), publishing(rabbit, "content") as publisher:
        await publisher.publish(
            Exchange.QUARANTINE.value, Key.QUARANTINE.value, b"\0\xffrubbish",
            headers={"envelope": '{"id": 7}', "quarantine": "[", "n\u00fcll": "a\0b"}, message_type="other\0",
        )  # fmt: skip
        await until(lambda: _has(database, quarantine, 1))
    async with database.reading() as connection:
        row = (await connection.execute(select(quarantine))).one()
    assert (row.message, row.reason, row.state) == (b"\0\xffrubbish", "unexplained", "held")


async def test_a_batch_that_nobody_can_parse_is_kept_and_holds_nothing_up(rabbit: Rabbit, database: Database) -> None:
    async with recording(rabbit, database), publishing(rabbit, "edge") as publisher:
        await tell(publisher, b"[{}]")
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _has(database, events, 7))
        await until(lambda: _has(database, unreadable, 1))
    assert await waiting(rabbit, Queue.EVENTS) == 0


async def test_while_the_tables_take_nothing_events_stay_in_the_broker(rabbit: Rabbit, database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE events RENAME TO away"))
    async with recording(rabbit, database) as recorder, publishing(rabbit, "edge") as publisher:
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _is(lambda: not recorder.database_works))
        async with database.writing() as connection:
            await connection.execute(text("ALTER TABLE away RENAME TO events"))
        await until(lambda: _has(database, events, 7))
        await until(lambda: _is(lambda: recorder.database_works))
    assert await count(database, unreadable) == 0


async def test_a_database_that_stops_costs_nothing(rabbit: Rabbit, postgres: Postgres) -> None:
    database = Database(await postgres.fresh("outage"))
    await database.migrate()
    mail = envelope(new_id())
    async with recording(rabbit, database) as recorder, publishing(rabbit, "content") as publisher:
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _has(database, events, 7))
        postgres.stop()
        try:
            await tell(publisher, encode_events(delivered_story(new_id())))
            await publisher.publish(
                Exchange.QUARANTINE.value, Key.QUARANTINE.value, MESSAGE,
                headers=mail_headers(mail, note=NOTE), message_type=MAIL_TYPE, message_id=mail.id,
            )  # fmt: skip
            await until(lambda: _is(lambda: not recorder.database_works))
        finally:
            postgres.start()
        await until(lambda: _has(database, events, 14))
        await until(lambda: _has(database, quarantine, 1))
        await until(lambda: _is(lambda: recorder.database_works))
    await database.close()


async def test_what_the_recorder_has_not_written_comes_again(rabbit: Rabbit, database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE events RENAME TO away"))
    async with recording(rabbit, database) as recorder, publishing(rabbit, "edge") as publisher:
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _is(lambda: not recorder.database_works))
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO events"))
    async with recording(rabbit, database):
        await until(lambda: _has(database, events, 7))


async def test_after_a_lost_connection_the_recorder_goes_on(rabbit: Rabbit, database: Database) -> None:
    async with recording(rabbit, database) as recorder, publishing(rabbit, "edge") as publisher:
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _has(database, events, 7))
        await asyncio.to_thread(rabbit.close_connections, "console")
        await tell(publisher, encode_events(delivered_story(new_id())))
        await until(lambda: _has(database, events, 14))
        assert recorder.is_consuming


async def test_one_delivery_that_the_tables_refuse_costs_no_other(
    rabbit: Rabbit, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time enough for both to be of one batch.
    monkeypatch.setattr("services.console.recorder._GATHER_S", 0.5)
    bad = encode_events(delivered_story(new_id()))
    async with database.writing() as connection:
        # Stands for whatever a database may refuse that our own checks let through.
        refused = "x" * 40
        await connection.execute(text(_REFUSING[database.is_sqlite]))
    story = delivered_story(new_id())
    story[0] = replace(story[0], host=refused)
    async with recording(rabbit, database) as recorder, publishing(rabbit, "edge") as publisher:
        await asyncio.gather(tell(publisher, encode_events(story)), tell(publisher, bad))
        await until(lambda: _has(database, unreadable, 1))
        await until(lambda: _has(database, events, 7))
        assert recorder.database_works
    assert await waiting(rabbit, Queue.EVENTS) == 0


_REFUSING = {
    True: "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN length(NEW.host) = 40 "
    "BEGIN SELECT RAISE(ABORT, 'refused'); END",
    False: "ALTER TABLE events ADD CONSTRAINT refuse CHECK (length(host) <> 40)",
}


async def _has(database: Database, table: Table, rows: int) -> bool:
    try:
        return await count(database, table) >= rows
    except (OSError, SQLAlchemyError):  # while it is stopped
        return False


async def _is(holds: Callable[[], bool]) -> bool:
    return holds()
