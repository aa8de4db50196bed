"""What is another's, or was once, opens nothing: tokens and sessions of who is gone, another user's form, another site's
request, a token that may less than its user, or more than its user still may. Each endpoint, by the routes themselves.
"""

from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from services.console.actions.users import remove_user
from services.console.database import Database
from services.console.identity.rights import RIGHTS, Role, on_this_host
from services.console.identity.sessions import Step
from services.console.identity.tables import sessions, tokens, users
from services.console.web.who import CSRF_HEADER
from tests.integration.console.people import People
from tests.integration.console.site import URL
from tests.integration.console.test_access_matrix import (
    CHANGING,
    GUARDED,
    OF_API,
    OF_PAGES,
    PUBLIC,
    ROUTES,
    ask,
    session,
)

_CHANGES = [route for route in ROUTES if route.method not in ("GET", "HEAD")]


@pytest.fixture
def people(sqlite: Database, tmp_path: Path) -> People:
    return People(sqlite, tmp_path)


async def test_no_endpoint_takes_a_token_that_was_removed_or_whose_user_is_shut_out_or_gone(people: People) -> None:
    answers: dict[str, list[int]] = {str(route): [] for route in OF_API}
    for name in ("removed", "shut-out", "gone"):
        await people.site.user(name, Role.ADMINISTRATOR)
    programs = [await people.site.program(name, Role.ADMINISTRATOR) for name in ("removed", "shut-out", "gone")]
    async with people.database.writing() as connection:
        await connection.execute(delete(tokens).where(tokens.c.user_name == "removed"))
        # As if the token's row had been left behind.
        await connection.execute(delete(users).where(users.c.name == "gone"))
    await people.set("shut-out", disabled=True)
    for program in programs:
        async with program:
            for route in OF_API:
                answers[str(route)].append(await ask(program, route))
    assert answers == {str(route): [401] * 3 for route in OF_API}


async def test_no_page_takes_a_session_of_a_user_who_is_gone(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    await people.site.user("gone", Role.ADMINISTRATOR)
    left, left_csrf = await session(people, "gone")
    async with people.database.writing() as connection:
        await connection.execute(delete(users).where(users.c.name == "gone"))
    answers = {str(route): await ask(left, route, csrf=left_csrf) for route in OF_PAGES}
    assert answers == {str(route): 401 for route in OF_PAGES}
    await left.aclose()


async def test_with_a_user_who_is_removed_sessions_and_tokens_go(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    await people.site.user("gone", Role.ADMINISTRATOR)
    await people.set("root", argon2="x")
    browser, _ = await session(people, "gone")
    program = await people.site.program("gone", Role.ADMINISTRATOR)
    desk = people.site.backstage.desk(on_this_host("tests"))
    await remove_user(desk, "gone")
    assert (await browser.get("/me")).status_code == 303
    assert (await program.get("/api/v1/me")).status_code == 401
    async with people.database.reading() as connection:
        for table in (sessions, tokens):
            assert (await connection.execute(select(table).where(table.c.user_name == "gone"))).all() == []


async def test_a_change_needs_the_form_of_its_own_user(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    await people.site.user("mallory", Role.ADMINISTRATOR)
    answers = {}
    for route in CHANGING:
        mine, _ = await session(people, "root")
        theirs, csrf = await session(people, "mallory")
        async with mine, theirs:
            if route in OF_PAGES:
                answers[str(route)] = await ask(mine, route, csrf=csrf)
    assert answers == {str(route): 403 for route in CHANGING if route in OF_PAGES}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_another_site_asks_for_is_refused_whoever_is_logged_in(people: People, site: str) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    browser, csrf = await session(people, "root")
    program = await people.site.program("root", Role.ADMINISTRATOR)
    async with browser, program:
        browser.headers[CSRF_HEADER] = csrf
        for client in (browser, program):
            client.headers["Sec-Fetch-Site"] = site
        answers = {str(route): await ask(program if route.is_api else browser, route) for route in _CHANGES}
    assert answers == {str(route): 403 for route in _CHANGES}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{URL}.evil.example", "http://["])
async def test_a_form_before_the_log_in_is_refused_with_the_origin_of_another_site(people: People, origin: str) -> None:
    wanted = [route for route in _CHANGES if str(route) in PUBLIC]
    answers = {}
    async with people.site.stranger() as browser:
        browser.headers["Origin"] = origin
        for route in wanted:
            sent: dict[str, object] = {"data": {"name": "anna"}}
            if route.path == "/login/passkey":
                sent = {"json": {"answer": "{}"}}
            answers[str(route)] = (await browser.request(route.method, route.url, **sent)).status_code  # type: ignore[arg-type]
    assert answers == {str(route): 403 for route in wanted}


@pytest.mark.parametrize("own, users_now", [(Role.VIEWER, Role.ADMINISTRATOR), (Role.ADMINISTRATOR, Role.VIEWER)])
async def test_a_token_may_what_both_it_and_its_user_may(people: People, own: Role, users_now: Role) -> None:
    await people.site.user("somebody", users_now)
    program = await people.site.program("somebody", own)
    may = RIGHTS[own] & RIGHTS[users_now]
    wrong = {}
    async with program:
        for route in OF_API:
            assert route.needs is not None
            status = await ask(program, route)
            if (status == 403) is (route.needs.rights <= may) or status == 401:
                wrong[str(route)] = status
    assert wrong == {}


async def test_a_token_of_one_domain_sees_no_more_though_its_user_sees_all(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    async with await people.site.program("root", Role.ADMINISTRATOR, ["gatepost.test"]) as program:
        assert (await program.get("/api/v1/me")).json()["domains"] == ["gatepost.test"]
        for path in ("/policy", "/access", "/users", "/audit", "/doctor"):
            assert (await program.get(f"/api/v1{path}")).status_code == 403, path
    # The user is given other domains: the token keeps none of those that it had alone.
    async with people.database.writing() as connection:
        await connection.execute(update(users).values(role=Role.DOMAIN_MANAGER.value, domains='["other.test"]'))
    async with await people.site.program("root", Role.ADMINISTRATOR, ["gatepost.test"]) as program:
        found = (await program.get("/api/v1/me")).json()
        assert (found["role"], found["domains"]) == ("domain-manager", [])


async def test_the_second_step_takes_no_session_of_a_user_who_was_shut_out_meanwhile(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    await people.site.user("anna", Role.VIEWER)
    second = [route for route in GUARDED if route.path.startswith("/login/second")]
    assert second
    half, csrf = await session(people, "anna", Step.PASSWORD)
    await people.set("anna", disabled=True)
    async with half:
        assert {str(route): await ask(half, route, csrf=csrf) for route in second} == {
            str(route): 401 for route in second
        }
