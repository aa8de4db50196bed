"""Forgetting what is old, on both databases."""

from pathlib import Path

from sqlalchemy import func, insert, select, text

from services.console.database import Database
from services.console.held import held_mail
from services.console.retention import AT_ONCE, DAY_S, Retention
from services.console.store import Store
from services.console.tables import audit, events, message_words, messages, orders, quarantine
from shared.event import EventKind, Stage
from shared.policy.retention import RetentionRules
from shared.wire import MAIL_TYPE, mail_headers
from tests.integration.console.mail import MESSAGE, NOTE, envelope, event
from tests.integration.console.told import delivered, desk_of, id_at, mail, write

NOW = 1_795_000_000.0
RULES = RetentionRules(trace_days=10, quarantine_days=20)


async def forget(database: Database, folder: Path, rules: RetentionRules = RULES) -> dict[str, int]:
    return await Retention(desk_of(database, folder), lambda: rules).forget(rules, NOW, pause_s=0)


async def left(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list((await connection.execute(select(messages.c.id).order_by(messages.c.id))).scalars())


async def hold(database: Database, name: str, at: float) -> None:
    headers = dict(mail_headers(envelope(name), note=NOTE))
    mail_ = held_mail(MESSAGE, headers, MAIL_TYPE, name, at)
    async with database.writing() as connection:
        await Store(is_sqlite=database.is_sqlite).write_held(connection, [mail_])
        await connection.execute(quarantine.update().where(quarantine.c.id == name).values(received_at=at))


async def test_a_message_goes_whole_when_its_last_event_is_too_old(database: Database, tmp_path: Path) -> None:
    old = delivered(mail(NOW - 12 * DAY_S, "a@x.example", "b@y.example"), NOW - 11 * DAY_S)
    young = delivered(mail(NOW - 12 * DAY_S, "a@x.example", "b@y.example", number=1), NOW - 9 * DAY_S)
    await write(database, old, young)
    assert (await forget(database, tmp_path))["messages"] == 1
    assert await left(database) == [young[0].id]
    async with database.reading() as connection:
        for table in (events, message_words):
            names = set((await connection.execute(select(table.c.id))).scalars())
            assert names == {young[0].id}


async def test_what_waits_is_kept_twice_as_long_and_what_is_held_as_long_as_it_is(
    database: Database, tmp_path: Path
) -> None:
    waits = mail(NOW - 15 * DAY_S, "a@x.example", "b@y.example")
    lost = mail(NOW - 21 * DAY_S, "a@x.example", "b@y.example")
    held = delivered(mail(NOW - 15 * DAY_S, "a@x.example", "b@y.example", number=1), NOW - 15 * DAY_S)
    await write(database, waits, lost, held)
    await hold(database, held[0].id, NOW - 15 * DAY_S)
    await forget(database, tmp_path)
    assert await left(database) == sorted([waits[0].id, held[0].id])


async def test_held_mail_that_is_too_old_is_deleted_and_its_trace_says_so(database: Database, tmp_path: Path) -> None:
    old, young = id_at(NOW - 21 * DAY_S), id_at(NOW - 19 * DAY_S)
    await hold(database, old, NOW - 21 * DAY_S)
    await hold(database, young, NOW - 19 * DAY_S)
    assert (await forget(database, tmp_path))["quarantine"] == 1
    async with database.reading() as connection:
        rows = (await connection.execute(select(quarantine.c.id, quarantine.c.state, quarantine.c.message))).all()
        told = (await connection.execute(select(events.c.facts).where(events.c.id == old))).scalar_one()
    assert {row.id: (row.state, bool(row.message)) for row in rows} == {old: ("deleted", False), young: ("held", True)}
    assert '"by":"retention"' in told
    assert '"days":20' in told


async def test_held_mail_is_kept_for_ever_where_the_policy_says_so(database: Database, tmp_path: Path) -> None:
    await hold(database, id_at(NOW - 900 * DAY_S), NOW - 900 * DAY_S)
    assert (await forget(database, tmp_path, RetentionRules(quarantine_days=0)))["quarantine"] == 0


async def test_more_than_one_batch_is_forgotten_and_the_audit_is_not(database: Database, tmp_path: Path) -> None:
    at = NOW - 30 * DAY_S
    await write(database, *(mail(at, "a@x.example", "b@y.example", number=place) for place in range(AT_ONCE + 5)))
    await write(
        database,
        [
            event(id_at(at, place), Stage.EDGE, EventKind.ANSWERED, at, reply="550 no", verdict="refuse")
            for place in range(AT_ONCE + 5)
        ],
    )
    async with database.writing() as connection:
        order = {"id": "o1", "at": at, "who": "w", "kind": "retry", "target": "all", "body": "{}"}
        await connection.execute(insert(orders), [order])
        row = {"uid": "a1", "at": at, "who": "w", "action": "a", "target": "t", "details": "{}"}
        await connection.execute(insert(audit), [row])
    counts = await forget(database, tmp_path)
    assert (counts["messages"], counts["orders"]) == (AT_ONCE + 5, 1)
    assert await left(database) == []
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(message_words)) == 0
        assert await connection.scalar(select(func.count()).select_from(audit)) == 1


async def test_of_two_recorders_one_forgets_at_a_time(database: Database, tmp_path: Path) -> None:
    if database.is_sqlite:
        return  # one writer at a time, as it is
    old = delivered(mail(NOW - 12 * DAY_S, "a@x.example", "b@y.example"), NOW - 11 * DAY_S)
    await write(database, old)
    async with database.writing() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(7047258)"))
        assert (await forget(database, tmp_path))["messages"] == 0
    assert (await forget(database, tmp_path))["messages"] == 1
