"""What is refused stands in the audit, and nobody fills it with that."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from services.console.database import Database
from services.console.identity.refusals import MOST_STRANGERS, WHOLE, note_refusal, write_numbers
from services.console.identity.rights import Caller, Role, Via, on_this_host
from services.console.identity.tables import refusals
from services.console.identity.throttle import begin_attempt
from services.console.identity.throttle_rules import name_subject
from services.console.retention import _LOCK as RETENTION_LOCK
from tests.integration.console.people import People, log_in
from tests.integration.console.postgres import Postgres


@pytest.fixture
def people(sqlite: Database, tmp_path: Path) -> People:
    return People(sqlite, tmp_path)


async def rows_of(people: People, action: str) -> list[Any]:
    return [row for row in await people.audit() if row.action == action]


async def test_a_viewer_who_is_refused_again_and_again_has_six_rows_a_minute(people: People) -> None:
    await people.add("vera", Role.VIEWER)
    with capture_logs() as logs:
        async with people.in_whole("vera") as browser:
            for number in range(40):
                # From wherever they come.
                browser._transport.client = (f"198.51.100.{number}", 9)  # type: ignore[attr-defined]
                assert (await browser.get("/users")).status_code == 403
            assert len(await rows_of(people, "denied")) == WHOLE
            people.clock.now += 61
            await browser.get("/audit")
    rows = await rows_of(people, "denied")
    assert [row.target for row in rows] == ["GET /users"] * (WHOLE + 1) + ["GET /audit"]
    number = json.loads(rows[WHOLE].details)
    assert (rows[WHOLE].who, rows[WHOLE].via, number["more"]) == ("vera", "browser", 40 - WHOLE)
    assert {"since", "until"} <= set(number)
    # Nor does the log grow.
    assert len([line for line in logs if line["event"] == "denied"]) == WHOLE + 1


async def test_a_users_programs_count_as_the_user(people: People) -> None:
    await people.add("vera", Role.VIEWER)
    for _ in range(4):
        async with await people.site.program("vera", Role.VIEWER) as program:
            for _ in range(4):
                assert (await program.get("/api/v1/users")).status_code == 403
    assert len(await rows_of(people, "denied")) == WHOLE


async def test_a_user_who_is_refused_hides_nothing_of_another(people: People) -> None:
    await people.add("vera", Role.VIEWER)
    await people.add("otto", Role.OPERATOR)
    async with people.in_whole("vera") as vera, people.in_whole("otto") as otto:
        for _ in range(20):
            await vera.get("/users")
        await otto.get("/users")
    assert [row.who for row in await rows_of(people, "denied")] == ["vera"] * WHOLE + ["otto"]


async def test_the_number_is_written_though_nobody_is_refused_any_more(people: People) -> None:
    await people.add("vera", Role.VIEWER)
    async with people.in_whole("vera") as browser:
        for _ in range(9):
            await browser.get("/users")
    desk = people.site.backstage.desk(on_this_host("recorder"))
    await write_numbers(desk, people.clock.now + 59)
    assert len(await rows_of(people, "denied")) == WHOLE
    for _ in range(2):
        await write_numbers(desk, people.clock.now + 61)
    last = (await rows_of(people, "denied"))[WHOLE:]
    assert [(row.who, json.loads(row.details)["more"]) for row in last] == [("vera", 4)]


async def test_who_knows_a_password_but_not_the_code_does_not_fill_the_audit_with_first_steps(people: People) -> None:
    await people.add()
    await people.set("anna", totp_secret="JBSWY3DPEHPK3PXP")
    for _ in range(12):
        async with people.site.stranger() as browser:
            assert (await log_in(browser)).status_code == 303
    assert len(await rows_of(people, "first step")) == WHOLE


async def test_strangers_with_many_addresses_and_many_names_do_not_fill_it(people: People) -> None:
    await people.add()

    async def fail(number: int, name: str) -> httpx.Response:
        async with people.site.stranger() as browser:
            browser._transport.client = (f"2001:db8:{number:x}::1", 9)  # type: ignore[attr-defined]
            # A passkey's answer costs no hash, so that a test of many is quick.
            if name:
                return await log_in(browser, name, "wrong")
            return await browser.post("/login/passkey", json={"answer": "x"})

    for number in range(MOST_STRANGERS + 40):
        assert (await fail(number, "")).status_code == 401
    rows = await rows_of(people, "log-in failed")
    assert len(rows) == MOST_STRANGERS + WHOLE
    # A user's name in it is seen all the same.
    assert (await fail(9000, "anna")).status_code == 401
    assert (await rows_of(people, "log-in failed"))[-1].who == "anna"
    people.clock.now += 61
    await fail(9001, "")
    assert sum(json.loads(row.details).get("more", 0) for row in await rows_of(people, "log-in failed")) == 40 - WHOLE


async def test_refusals_at_the_same_moment_are_counted_each_on_both_databases(
    database: Database, tmp_path: Path
) -> None:
    people = People(database, tmp_path)
    desk = people.site.backstage.desk(Caller("vera", Role.VIEWER, via=Via.BROWSER, user="vera"))
    await asyncio.gather(*(note_refusal(desk, "denied", "GET /users", people.clock.now) for _ in range(12)))
    async with database.reading() as connection:
        counted = (await connection.execute(select(refusals.c.written, refusals.c.more))).one()
    assert tuple(counted) == (WHOLE, 12 - WHOLE)
    await asyncio.gather(*(write_numbers(desk, people.clock.now + 60) for _ in range(3)))
    assert len(await rows_of(people, "denied")) == WHOLE + 1
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(refusals)) == 0


async def test_no_log_in_waits_for_a_recorder_that_forgets(postgres: Postgres) -> None:
    database = Database(await postgres.fresh("forgetting"))
    await database.migrate()
    try:
        async with database.writing() as forgetting:
            await forgetting.exec_driver_sql(f"SELECT pg_advisory_xact_lock({RETENTION_LOCK})")
            async with asyncio.timeout(20):
                await begin_attempt(database, name_subject("anna"), "192.0.2.7", 1e9)
    finally:
        await database.close()
