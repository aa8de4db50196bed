"""Aggregate reports, from content's event to the mail in delivery's queue, on a real broker and both databases."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.dmarc.daily import DailyReports
from services.console.identity.rights import on_this_host
from services.console.settings import ConsoleSettings
from services.console.tables import dmarc_reports, dmarc_seen, events
from shared.broker.connect import Link
from shared.broker.consume import Consumer, Delivery
from shared.broker.topology import Queue
from shared.dmarc_seen import DAY_S, seen_facts
from shared.dns.resolver import CachingResolver
from shared.event import Event, EventKind, Stage, encode_events
from shared.ids import new_id
from shared.policy.content import DmarcReportRules
from shared.wire import read_envelope
from tests.integration.console.test_recorder import publishing, recording, tell, until
from tests.rabbit import Rabbit
from tests.unit.services.console.dmarc.test_report import SEEN

DAY = 20_000
NEXT_DAY = (DAY + 1) * DAY_S + 7200.0
ON = DmarcReportRules(enabled=True)


@pytest.fixture
async def resolver(tmp_path: Path) -> AsyncIterator[CachingResolver]:
    """The domain's own address needs no DNS; any other is SERVFAIL."""
    found = CachingResolver([], [])
    yield found
    await found.close()


def seen_event(**changes: object) -> Event:
    facts = seen_facts(replace(SEEN, **changes))  # type: ignore[arg-type]
    return Event(new_id(), new_id(), DAY * DAY_S + 5.0, Stage.CONTENT, "host", EventKind.DMARC_SEEN, facts)


async def count(database: Database, table: Table) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_a_day_is_reported_once_by_one_mail_to_who_asked(
    rabbit: Rabbit, database: Database, resolver: CachingResolver
) -> None:
    twice = seen_event()
    batch = encode_events([twice, seen_event(), seen_event(source="198.51.100.7")])
    async with recording(rabbit, database), publishing(rabbit, "content") as publisher:
        # An event that comes again is the same one.
        await tell(publisher, batch)
        await tell(publisher, encode_events([twice]))

        async def all_there() -> bool:
            return await count(database, dmarc_seen) == 3

        await until(all_there)
    assert await count(database, events) == 0, "what is for reports is no part of a trace"
    settings = ConsoleSettings.model_validate(
        {
            "hostname": "mx.gatepost.test",
            "broker": rabbit.settings("console"),
            "health": {"port": 0},
            "database": {"url": "sqlite:///unused"},
        }
    )
    desk = Desk(settings, database, on_this_host("recorder"))
    reports = [DailyReports(desk, resolver, lambda: ON) for _ in range(2)]
    try:
        assert await reports[0].send_due(ON, DAY * DAY_S + 80_000.0) == 0, "the day is not over"
        sent = [await reports[0].send_due(ON, NEXT_DAY), await reports[1].send_due(ON, NEXT_DAY)]
    finally:
        await desk.close()
    assert sent == [1, 0]
    assert (await count(database, dmarc_reports), await count(database, dmarc_seen)) == (1, 0)
    message_type, headers, body = await taken(rabbit)
    envelope = read_envelope(message_type, headers)
    assert [one.address for one in envelope.recipients] == ["dmarc@bank.test"]
    part = next(part for part in message_from_bytes(body).walk() if part.get_content_type() == "application/gzip")
    document = gzip.decompress(part.get_payload(decode=True))  # type: ignore[arg-type]
    assert document.count(b"<record>") == 2
    assert b"<count>2</count>" in document


async def taken(rabbit: Rabbit) -> tuple[str | None, dict[str, object], bytes]:
    """Return the one mail that waits for delivery."""
    got: asyncio.Future[tuple[str | None, dict[str, object], bytes]] = asyncio.get_running_loop().create_future()

    async def on_delivery(delivery: Delivery) -> None:
        got.set_result((delivery.message_type, dict(delivery.headers), delivery.body))
        await delivery.ack()

    link = Link(rabbit.settings("delivery"), "test-delivery")
    consumer = Consumer(link, Queue.DELIVERY.value, 1, on_delivery)
    link.start()
    try:
        async with asyncio.timeout(10):
            return await got
    finally:
        await consumer.drain(2)
        await link.close()


async def test_what_dns_cannot_say_now_is_reported_later(
    rabbit: Rabbit, sqlite: Database, resolver: CachingResolver
) -> None:
    async with recording(rabbit, sqlite), publishing(rabbit, "content") as publisher:
        await tell(publisher, encode_events([seen_event(rua=("mailto:a@unreachable.test",))]))

        async def there() -> bool:
            return await count(sqlite, dmarc_seen) == 1

        await until(there)
    settings = ConsoleSettings.model_validate(
        {
            "hostname": "mx.gatepost.test",
            "broker": rabbit.settings("console"),
            "health": {"port": 0},
            "database": {"url": "sqlite:///unused"},
        }
    )
    reports = DailyReports(Desk(settings, sqlite, on_this_host("recorder")), resolver, lambda: ON)
    assert await reports.send_due(ON, NEXT_DAY) == 0
    assert (await count(sqlite, dmarc_reports), await count(sqlite, dmarc_seen)) == (0, 1)
    await reports.forget_old(NEXT_DAY + 8 * DAY_S)
    assert await count(sqlite, dmarc_seen) == 0
