"""Recovery codes: for who lost phone and keys."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pyotp
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from services.console.actions.users import remove_user, reset_second_factor
from services.console.database import Database
from services.console.identity.rights import Role, on_this_host
from services.console.identity.tables import recovery_codes
from tests.integration.console.people import People, add_key, log_in, take_csrf

_CODE = re.compile(r"\b(?:[0-9a-z]{4}-){3}[0-9a-z]{4}\b")


@pytest.fixture
def people(sqlite: Database, tmp_path: Path) -> People:
    return People(sqlite, tmp_path)


async def set_up_app(browser: httpx.AsyncClient, people: People) -> httpx.Response:
    found = re.search(r'id="key">([A-Z2-7 ]+)<', (await browser.get("/me/totp")).text)
    assert found
    code = pyotp.TOTP(found[1].replace(" ", "")).at(people.clock.now)
    return await browser.post("/me/totp", data={"code": code})


async def codes_of(people: People, name: str = "anna") -> list[str]:
    """Set an app up, and return the codes that are shown with it."""
    async with people.in_whole(name) as browser:
        codes = _CODE.findall((await set_up_app(browser, people)).text)
        assert len(codes) == 10
        return codes


async def enter(browser: httpx.AsyncClient, code: str, name: str = "anna") -> httpx.Response:
    """Log in by password and a recovery code."""
    first = await log_in(browser, name)
    if first.status_code != 303:
        return first
    await take_csrf(browser, "/login/second")
    return await browser.post("/login/second/recovery", data={"recovery": code})


async def left(people: People, name: str = "anna") -> int:
    async with people.database.reading() as connection:
        mine = select(recovery_codes).where(recovery_codes.c.user_name == name)
        return len((await connection.execute(mine)).all())


async def test_ten_codes_are_shown_once_when_the_app_is_set_up_and_one_opens_the_console_once(people: People) -> None:
    await people.add()
    codes = await codes_of(people)
    async with people.site.stranger() as browser:
        assert "Recovery code" in (await _second_page(browser)).text
        entered = await enter(browser, codes[0].upper())
        assert entered.headers["location"] == "/me?note=recovery"
        page = (await browser.get("/me")).text
        assert "9 left" in page
        assert not _CODE.findall(page)
    async with people.site.stranger() as browser:
        assert (await enter(browser, codes[0])).status_code == 401
        assert (await browser.get("/me")).status_code == 303
    async with people.site.stranger() as browser:
        assert (await enter(browser, codes[1])).status_code == 303
    assert await left(people) == 8


async def _second_page(browser: httpx.AsyncClient) -> httpx.Response:
    await log_in(browser)
    return await browser.get("/login/second")


async def test_a_first_passkey_leads_to_the_codes_and_a_second_does_not(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        await add_key(browser)
        assert "You have none" in (await browser.get("/me/recovery-codes")).text
        codes = _CODE.findall((await browser.post("/me/recovery-codes")).text)
        await add_key(browser)
        assert "You have 10 left" in (await browser.get("/me/recovery-codes")).text
        # An app beside it makes none anew.
        assert (await set_up_app(browser, people)).headers["location"] == "/me?note=app"
    async with people.site.stranger() as browser:
        assert (await enter(browser, codes[9])).status_code == 303


async def test_new_codes_make_the_earlier_ones_void(people: People) -> None:
    await people.add()
    old = await codes_of(people)
    async with people.site.stranger() as browser:
        await enter(browser, old[0])
        await take_csrf(browser, "/me")
        new = _CODE.findall((await browser.post("/me/recovery-codes")).text)
    assert len(new) == 10
    async with people.site.stranger() as browser:
        assert (await enter(browser, old[1])).status_code == 401
        assert (await enter(browser, new[1])).status_code == 303


async def test_few_codes_left_are_a_warning(people: People) -> None:
    await people.add()
    codes = await codes_of(people)
    for code in codes[:7]:
        async with people.site.stranger() as browser:
            await enter(browser, code)
            page = (await browser.get("/me")).text
    assert re.search(r'badge warn">3 left<', page)


async def test_codes_want_a_fresh_proof_and_a_second_factor_that_they_stand_in_for(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        assert (await browser.post("/me/recovery-codes")).status_code == 409
        people.clock.now += 601
        for method in ("GET", "POST"):
            answer = await browser.request(method, "/me/recovery-codes")
            assert answer.headers["location"] == "/me/again?next=/me/recovery-codes"


async def test_a_code_alone_and_the_code_of_another_user_open_nothing(people: People) -> None:
    await people.add("anna")
    await people.add("ben")
    bens = await codes_of(people, "ben")
    await codes_of(people, "anna")
    async with people.site.stranger() as browser:
        assert (await browser.post("/login/second/recovery", data={"recovery": bens[0]})).status_code == 401
        assert (await enter(browser, bens[0], "anna")).status_code == 401
    assert await left(people, "ben") == 10


async def test_codes_are_not_guessed_any_faster_than_passwords(people: People) -> None:
    await people.add()
    codes = await codes_of(people)
    answers = []
    for number in range(6):
        async with people.site.stranger() as browser:
            answers.append((await enter(browser, f"0000-0000-0000-000{number}")).status_code)
    assert answers == [401] * 5 + [429]
    async with people.site.stranger() as browser:
        assert (await enter(browser, codes[0])).status_code == 429
    assert await left(people) == 10


async def test_the_codes_go_with_the_last_factor_with_a_reset_and_with_their_user(people: People) -> None:
    await people.add()
    await people.add("ben")
    desk = people.site.backstage.desk(on_this_host("root"))
    codes = await codes_of(people)
    async with people.site.stranger() as browser:
        await enter(browser, codes[0])
        await take_csrf(browser, "/me")
        await browser.post("/me/totp/remove")
    assert await left(people) == 0
    await codes_of(people)
    await reset_second_factor(desk, "anna")
    assert await left(people) == 0
    await codes_of(people)
    await remove_user(desk, "anna")
    assert await left(people) == 0


async def test_neither_log_nor_audit_nor_database_nor_a_later_page_has_a_code(people: People) -> None:
    await people.add()
    await people.add("root")
    seen: list[str] = []
    with capture_logs() as logs:
        codes = await codes_of(people)
        async with people.site.stranger() as browser:
            seen.append((await enter(browser, codes[0])).text)
        async with people.site.stranger() as browser:
            refused = await enter(browser, codes[0])
            seen.append(refused.text)
        async with people.in_whole("root") as browser:
            seen += [(await browser.get(path)).text for path in ("/users", "/users/anna", "/audit")]
    async with people.database.reading() as connection:
        kept = str((await connection.execute(select(recovery_codes))).all())
    rows = await people.audit()
    everything = "\n".join([*seen, kept, str(rows), json.dumps(logs, default=str)])
    for code in codes:
        assert code not in everything
        assert code.replace("-", "") not in everything
    assert ("anna", "recovery codes make") in await people.actions()
    (used,) = [row.details for row in rows if "recovery code" in row.details and row.action == "log-in"]
    assert json.loads(used)["left"] == 9
    (failed,) = [row.details for row in rows if row.action == "log-in failed"]
    assert json.loads(failed)["by"] == "recovery code"


async def test_the_api_says_how_many_are_left_and_never_which(people: People) -> None:
    await people.add()
    await codes_of(people)
    async with await people.site.program("anna", Role.ADMINISTRATOR) as program:
        shown = await program.get("/api/v1/users/anna")
        assert shown.json()["recovery_codes"] == 10
        assert (await program.delete("/api/v1/users/anna/second-factor")).json()["recovery_codes"] == 0


async def test_a_code_given_twice_at_once_is_taken_once_on_postgresql_too(database: Database, tmp_path: Path) -> None:
    people = People(database, tmp_path)
    await people.add()
    codes = await codes_of(people)
    async with people.site.stranger() as one, people.site.stranger() as two:
        for browser in (one, two):
            await log_in(browser)
            await take_csrf(browser, "/login/second")
        answers = await asyncio.gather(
            *(browser.post("/login/second/recovery", data={"recovery": codes[0]}) for browser in (one, two))
        )
    assert sorted(answer.status_code for answer in answers) == [303, 401]
    assert await left(people) == 9
