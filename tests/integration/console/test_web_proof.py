"""What changes who may log in wants a proof of the last ten minutes; programs are bound by their scope alone."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.web import pages
from tests.integration.console.people import PASSWORD, People, take_csrf

CHANGES = ("change", "disable", "enable", "remove", "invite", "second-factor/reset", "sessions/end")
# What takes rights away from one's own log-in alone is done at once.
AT_ONCE = {
    "POST /me/again",
    "POST /me/again/passkey/begin",
    "POST /me/again/passkey",
    "POST /me/sessions/{session}/end",
    "POST /me/tokens/{token}/remove",
}


@pytest.fixture
async def people(sqlite: Database, tmp_path: Path) -> People:
    made = People(sqlite, tmp_path)
    await made.add("anna")
    await made.add("ben@example.org", Role.VIEWER)
    return made


async def test_a_browser_that_was_left_open_changes_no_user(people: People) -> None:
    async with people.in_whole("ben@example.org") as ben, people.in_whole("anna") as anna:
        program = await people.site.program("ben@example.org", Role.VIEWER)
        people.clock.now += 601
        shown = (await anna.get("/users/ben@example.org")).text
        paths = set(re.findall(r'action="(/users/ben%40example\.org/[^"]+)"', shown))
        named = {path.removeprefix("/users/ben%40example.org/") for path in paths}
        assert {re.sub(r"/\w{20,}/", "/ID/", one) for one in named} | {"enable"} == {
            *CHANGES,
            "sessions/ID/end",
            "tokens/ID/remove",
        }
        before = await people.row("ben@example.org")
        for path in sorted(paths | {"/users/ben%40example.org/enable"}):
            answer = await anna.post(path, data={"role": "administrator"})
            assert answer.headers["location"] == "/me/again?next=/users/ben%40example.org", path
        for method in ("GET", "POST"):
            answer = await anna.request(method, "/users/new", data={"name": "eve", "role": "administrator"})
            assert answer.headers["location"] == "/me/again?next=/users/new"
        assert await people.row("ben@example.org") == before
        assert (await ben.get("/me")).status_code == 200
        async with program:
            assert (await program.get("/api/v1/me")).status_code == 200
    assert {action for _, action in await people.actions()} == {"log-in"}


async def test_after_the_proof_it_is_done(people: People) -> None:
    async with people.in_whole("anna") as anna:
        people.clock.now += 601
        asked = (await anna.post("/users/ben@example.org/disable")).headers["location"]
        assert "Is it you?" in (await anna.get(asked)).text
        back = await anna.post("/me/again", data={"password": PASSWORD, "next": "/users/ben@example.org"})
        await take_csrf(anna, back.headers["location"])
        assert (await anna.post("/users/ben@example.org/disable")).status_code == 303
        assert (await people.row("ben@example.org")).disabled
        people.clock.now += 599
        assert (await anna.post("/users/ben@example.org/enable")).headers["location"].endswith("?note=enabled")


async def test_who_has_no_right_is_refused_and_not_asked_for_a_proof(people: People) -> None:
    async with people.in_whole("ben@example.org") as ben:
        people.clock.now += 601
        assert (await ben.post("/users/anna/disable")).status_code == 403


async def test_a_program_is_asked_for_no_proof(people: People) -> None:
    program = await people.site.program("anna", Role.ADMINISTRATOR)
    async with program:
        people.clock.now += 3000
        assert (await program.post("/api/v1/users/ben@example.org/disable")).status_code == 200


async def test_every_page_that_changes_a_log_in_asks_for_it_or_is_known_not_to(people: People) -> None:
    routes = [route for router in pages.routers() for route in router.routes if isinstance(route, APIRoute)]
    changing = sorted(
        f"{method} {route.path}"
        for route in routes
        if re.match(r"/(me|users)\b", route.path)
        for method in (route.methods or set()) - {"GET", "HEAD"}
    )
    asked = set()
    for one in changing:
        method, path = one.split(" ")
        async with people.in_whole("anna") as browser:
            people.clock.now += 601
            answer = await browser.request(method, re.sub(r"\{\w+\}", "1", path), json={"answer": "x"})
            if answer.headers.get("location", "").startswith("/me/again?next="):
                asked.add(one)
    assert set(changing) - asked == AT_ONCE
