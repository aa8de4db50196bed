"""SMTP accounts in the console: added, changed, shown with who logged in; domain managers have those of their domains."""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.rows import Summary, event_rows
from services.console.store import Store
from services.console.tables import accounts, audit
from shared.event import Event, EventKind, Stage, encode_events
from shared.ids import new_id
from tests.integration.console.policy_scene import PolicyScene
from tests.rabbit import Rabbit


@pytest.fixture
async def scene(rabbit: Rabbit, sqlite: Database, tmp_path: Path) -> AsyncIterator[PolicyScene]:
    made = PolicyScene(rabbit, sqlite, tmp_path)
    yield made
    await made.close()


async def row(database: Database, login: str) -> dict[str, object]:
    async with database.reading() as connection:
        found = (await connection.execute(select(accounts).where(accounts.c.login == login))).one()
        return dict(found._mapping)


async def sent(
    database: Database, login: str, sender: str, address: str, subject: str = "hello", **more: object
) -> str:
    """Write what edge tells of a message that came with a log-in."""
    message_id = new_id()
    facts = {
        "client": address,
        "listener": "submission",
        "login": login,
        "sender": sender,
        "recipients": ["x@far.test"],
        "subject": subject,
        "size_bytes": 100,
    }
    event = Event(new_id(), message_id, time.time(), Stage.EDGE, "e", EventKind.RECEIVED, facts | more)  # type: ignore[arg-type]
    summaries: dict[str, Summary] = {}
    rows = event_rows(encode_events([event]), summaries)
    async with database.writing() as connection:
        await Store(is_sqlite=True).write_events(connection, rows, summaries)
    return message_id


async def test_a_password_that_is_made_here_is_shown_once_and_kept_as_a_verifier(
    scene: PolicyScene, sqlite: Database
) -> None:
    async with scene.site.browser() as browser:
        made = await browser.post("/accounts/new", data={"login": "Anna@gatepost.test"})
        assert made.status_code == 200, made.text
        found = re.search(r'<pre id="password">([\w-]{24})</pre>', made.text)
        assert found
        password = found[1]
        assert PasswordHasher().verify(str((await row(sqlite, "anna@gatepost.test"))["argon2"]), password)
        for path in ("/accounts", "/accounts/show?login=anna%40gatepost.test"):
            page = await browser.get(path)
            assert page.status_code == 200
            assert password not in page.text
    async with sqlite.reading() as connection:
        assert password not in str((await connection.execute(select(audit))).all())


async def test_an_account_is_changed_disabled_and_removed(scene: PolicyScene, sqlite: Database) -> None:
    async with scene.site.browser() as browser:
        login = "ben@gatepost.test"
        data = {"login": login, "password": "seven green bottles", "senders": "info@gatepost.test, @other.test"}
        assert (await browser.post("/accounts/new", data=data)).status_code == 200
        assert json.loads(str((await row(sqlite, login))["senders"])) == ["info@gatepost.test", "@other.test"]
        again = await browser.post("/accounts/new", data=data)
        assert (again.status_code, "there is an account" in again.text) == (409, True)
        assert (await browser.post("/accounts/senders", data={"login": login, "senders": ""})).status_code == 303
        assert json.loads(str((await row(sqlite, login))["senders"])) == []
        before = (await row(sqlite, login))["argon2"]
        short = await browser.post("/accounts/password", data={"login": login, "password": "short"})
        assert short.status_code == 409
        assert (
            await browser.post("/accounts/password", data={"login": login, "password": "x" * 12})
        ).status_code == 303
        assert (await row(sqlite, login))["argon2"] != before
        assert (await browser.post("/accounts/disable", data={"login": login})).status_code == 303
        assert "Let it log in again" in (await browser.get(f"/accounts/show?login={login}")).text
        assert (await browser.post("/accounts/enable", data={"login": login})).status_code == 303
        assert (await browser.post("/accounts/remove", data={"login": login})).status_code == 303
        assert (await browser.get(f"/accounts/show?login={login}")).status_code == 404


async def test_the_api_does_the_same(scene: PolicyScene) -> None:
    async with scene.site.api(Role.OPERATOR) as program:
        made = (await program.post("/api/v1/accounts", json={"login": "anna@gatepost.test"})).json()
        assert len(made["password"]) == 24
        assert made["account"]["login"] == "anna@gatepost.test"
        here = "/api/v1/accounts/anna@gatepost.test"
        changed = await program.patch(here, json={"senders": ["@gatepost.test"], "disabled": True})
        assert (changed.json()["senders"], changed.json()["disabled"]) == (["@gatepost.test"], True)
        given = await program.put(f"{here}/password", json={"password": "seven green bottles"})
        assert given.json()["password"] is None
        assert (await program.put(f"{here}/password", json={"elsewhere": True})).json()["account"]["elsewhere"] is True
        assert [one["login"] for one in (await program.get("/api/v1/accounts")).json()] == ["anna@gatepost.test"]
        assert (await program.delete(here)).status_code == 204
        assert (await program.delete(here)).status_code == 404
        wrong = await program.post("/api/v1/accounts", json={"login": "a b"})
        assert wrong.status_code == 422


async def test_domain_managers_have_the_accounts_of_their_domains_alone(scene: PolicyScene, sqlite: Database) -> None:
    async with scene.site.api() as program:
        for login, senders in (("a@mine.test", []), ("b@mine.test", ["ceo@other.test"]), ("c@other.test", [])):
            new = {"login": login, "senders": senders, "elsewhere": True}
            assert (await program.post("/api/v1/accounts", json=new)).status_code == 201
    async with scene.site.api(Role.DOMAIN_MANAGER, ["mine.test"]) as program:
        assert [one["login"] for one in (await program.get("/api/v1/accounts")).json()] == [
            "a@mine.test",
            "b@mine.test",
        ]
        for method, path, body in (
            ("GET", "c@other.test", None),
            ("DELETE", "c@other.test", None),
            ("PATCH", "c@other.test", {"disabled": True}),
            # Else whoever sets its password could send as somebody of another domain.
            ("PUT", "b@mine.test/password", {}),
            ("PATCH", "a@mine.test", {"senders": ["x@other.test"]}),
            ("PATCH", "a@mine.test", {"senders": ["@other.test"]}),
        ):
            answer = await program.request(method, f"/api/v1/accounts/{path}", json=body)
            assert answer.status_code == 403, (method, path, answer.text)
        for login in ("x@other.test", "nobody", "x@sub.mine.test"):
            new = {"login": login, "senders": ["a@mine.test"]}
            assert (await program.post("/api/v1/accounts", json=new)).status_code == 403
        assert (await program.patch("/api/v1/accounts/a@mine.test", json={"disabled": True})).status_code == 200
    assert (await row(sqlite, "c@other.test"))["disabled"] is False


async def test_who_logged_in_from_an_address_and_what_they_sent(scene: PolicyScene, sqlite: Database) -> None:
    async with scene.site.api() as program:
        new = {"login": "anna", "senders": ["anna@mine.test", "@shop.test"], "elsewhere": True}
        assert (await program.post("/api/v1/accounts", json=new)).status_code == 201
        first = await sent(sqlite, "anna", "anna@mine.test", "203.0.113.5", subject="<b>offers</b>")
        second = await sent(sqlite, "anna", "x@shop.test", "203.0.113.6")
        other = await sent(sqlite, "ben@mine.test", "ben@mine.test", "203.0.113.5")
        await sent(sqlite, "", "stranger@far.test", "203.0.113.5")
        from_there = (await program.get("/api/v1/log-ins?address=203.0.113.5")).json()["items"]
        assert {one["id"] for one in from_there} == {first, other}
        of_anna = (await program.get("/api/v1/log-ins?login=anna")).json()["items"]
        assert {one["id"]: one["address"] for one in of_anna} == {first: "203.0.113.5", second: "203.0.113.6"}
        for query in ("", "?address=nothing", "?address=203.0.113.5&login=anna"):
            assert (await program.get(f"/api/v1/log-ins{query}")).status_code == 422
    async with scene.site.browser() as browser:
        page = await browser.get("/accounts/log-ins?address=203.0.113.5")
        assert first in page.text
        assert "&lt;b&gt;offers" in page.text
        assert "203.0.113.6" in (await browser.get("/accounts/show?login=anna")).text
    async with scene.site.api(Role.DOMAIN_MANAGER, ["mine.test"]) as program:
        mine = (await program.get("/api/v1/log-ins?address=203.0.113.5")).json()["items"]
        assert [one["id"] for one in mine] == [other]
