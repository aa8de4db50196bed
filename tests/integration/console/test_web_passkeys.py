"""Passkeys and security keys."""

import json
import re
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from services.console.database import Database
from services.console.identity.tables import sessions
from tests.integration.console.authenticator import SoftKey
from tests.integration.console.people import People, add_key, log_in, take_csrf
from tests.integration.console.site import URL


@pytest.fixture
def people(sqlite: Database, tmp_path: Path) -> People:
    return People(sqlite, tmp_path)


async def test_a_passkey_is_a_second_factor(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser, SoftKey(URL, verifies=False))
    async with people.site.stranger() as browser:
        assert (await log_in(browser)).headers["location"].startswith("/login/second")
        await take_csrf(browser, "/login/second")
        options = json.loads((await browser.post("/login/second/passkey/begin")).text)
        assert len(options["allowCredentials"]) == 1
        answer = key.get(options)
        done = await browser.post("/login/second/passkey", json={"answer": answer, "next": "/users"})
        assert done.json() == {"next": "/users"}
        assert (await browser.get("/users")).status_code == 200
    # The answer is good once.
    async with people.site.stranger() as browser:
        await log_in(browser)
        await take_csrf(browser, "/login/second")
        await browser.post("/login/second/passkey/begin")
        assert (await browser.post("/login/second/passkey", json={"answer": answer})).status_code == 401


async def by_passkey(browser: httpx.AsyncClient, key: SoftKey) -> httpx.Response:
    options = json.loads((await browser.post("/login/passkey/begin")).text)
    assert options["userVerification"] == "required"
    return await browser.post("/login/passkey", json={"answer": key.get(options), "next": "/users"})


async def test_a_passkey_that_knows_its_owner_opens_the_console_alone(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser)
    async with people.site.stranger() as browser:
        assert (await by_passkey(browser, key)).json() == {"next": "/users"}
        assert (await browser.get("/users")).status_code == 200
    assert ("anna", "log-in") in await people.actions()


async def test_a_passkey_that_does_not_know_its_owner_or_is_of_another_site_opens_nothing(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser)
    async with people.site.stranger() as browser:
        assert (await by_passkey(browser, key)).status_code == 200
    for change in ({"verifies": False}, {"origin": "https://evil.example"}, {"count": -1}, {"id": b"unknown"}):
        for name, value in change.items():
            setattr(key, name, value)
        async with people.site.stranger() as browser:
            answer = await by_passkey(browser, key)
            assert answer.status_code == 401, change
            assert (await browser.get("/users")).status_code == 303
        key.verifies, key.origin = True, URL


async def test_a_passkeys_answer_needs_a_challenge_of_this_browser_and_of_the_last_ten_minutes(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser)
    async with people.site.stranger() as mine, people.site.stranger() as other:
        options = json.loads((await mine.post("/login/passkey/begin")).text)
        await other.post("/login/passkey/begin")
        assert (await other.post("/login/passkey", json={"answer": key.get(options)})).status_code == 401
        people.clock.now += 601
        assert (await mine.post("/login/passkey", json={"answer": key.get(options)})).status_code == 401


async def test_strangers_cannot_fill_the_table_with_challenges(people: People, sqlite: Database) -> None:
    codes = []
    for _ in range(22):
        async with people.site.stranger() as browser:
            codes.append((await browser.post("/login/passkey/begin")).status_code)
    assert codes == [200] * 20 + [429] * 2
    async with sqlite.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(sessions)) == 20


async def test_one_customer_with_many_addresses_cannot_fill_it_either(people: People) -> None:
    codes = []
    for number in range(22):
        async with people.site.stranger() as browser:
            browser._transport.client = (f"2001:db8:1:2::{number:x}", 9)  # type: ignore[attr-defined]
            codes.append((await browser.post("/login/passkey/begin")).status_code)
    assert codes == [200] * 20 + [429] * 2


async def test_rubbish_from_a_browser_is_refused_not_failed_over(people: People) -> None:
    for rubbish in ("", "null", "[]", '{"id": 1}', '{"id": "x", "rawId": "y"}', "[" * 5000, "\ud800", "x" * 39_000):
        async with people.site.stranger() as browser:
            await browser.post("/login/passkey/begin")
            body = json.dumps({"answer": rubbish})
            answer = await browser.post("/login/passkey", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in {401, 422, 429}, rubbish[:20]
    async with people.site.stranger() as browser:
        assert (
            await log_in(browser, "\ud800".encode("utf-8", "surrogatepass").decode("latin1"), "\x00")
        ).status_code < 500


async def test_a_passkey_is_not_added_twice_nor_without_its_challenge_and_can_be_removed(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser)
        options = json.loads((await browser.post("/me/passkeys/begin")).text)
        assert [one["id"] for one in options["excludeCredentials"]]
        again = {"answer": key.create(options), "label": "again"}
        assert (await browser.post("/me/passkeys", json=again)).status_code == 422
        other = {"answer": SoftKey(URL).create(options), "label": "late"}
        assert (await browser.post("/me/passkeys", json=other)).status_code == 422
        path = re.search(r'action="(/me/passkeys/[^"]+/remove)"', (await browser.get("/me")).text)
        assert path
        assert (await browser.post(path[1])).status_code == 303
    async with people.site.stranger() as browser:
        assert (await by_passkey(browser, key)).status_code == 401


async def test_the_login_works_on_postgresql_too(database: Database, tmp_path: Path) -> None:
    people = People(database, tmp_path)
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser)
    async with people.site.stranger() as browser:
        assert (await by_passkey(browser, key)).json() == {"next": "/users"}
        codes = [(await log_in(people.site.stranger(), "anna", "wrong")).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
