"""Each endpoint for each role, and for nobody: generated from the routes, so that a new one is covered by itself."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyotp
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import select, update
from structlog.testing import capture_logs

from services.console.database import Database
from services.console.identity.rights import RIGHTS, Role
from services.console.identity.sessions import Step, find_session, open_session
from services.console.identity.tables import sessions, tokens
from services.console.tables import audit
from services.console.web import api, pages
from services.console.web.app import API_ROOT, openapi_app
from services.console.web.who import COOKIE, CSRF_FIELD, CSRF_HEADER, Needs, NeedsFirstStep, NeedsToken
from tests.integration.console.people import PASSWORD, VERIFIER, People, log_in, take_csrf
from tests.integration.console.web_settings import SECRET

# Endpoints that ask nobody who they are: the log-in, and links whose secret is the proof.
PUBLIC = {
    "GET /login",
    "POST /login",
    "GET /login/second",
    "POST /login/passkey/begin",
    "POST /login/passkey",
    "GET /first/{token}",
    "POST /first/{token}",
    "GET /invited/{token}",
    "POST /invited/{token}",
    "GET /digest/{token}",
    "POST /digest/{token}",
}
_SAFE = {"GET", "HEAD"}
# What goes on for ever has begun to answer by then.
_ANSWER_S = 20


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. needs: None where anybody may ask."""

    method: str
    path: str
    needs: Needs | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_api(self) -> bool:
        return self.path.startswith(API_ROOT)

    @property
    def url(self) -> str:
        return re.sub(r"\{[^}]+\}", "1", self.path)


def needs_of(dependant: Dependant) -> Needs | None:
    for one in dependant.dependencies:
        found = one.call if isinstance(one.call, Needs) else needs_of(one)
        if found is not None:
            return found
    return None


def all_routes() -> Iterator[Route]:
    for prefix, routers in ((API_ROOT, api.routers()), ("", pages.routers())):
        for router in routers:
            for route in router.routes:
                assert isinstance(route, APIRoute), f"{route}: an endpoint of another kind asks nobody who they are"
                for method in sorted(route.methods or ()):
                    yield Route(method, prefix + route.path, needs_of(route.dependant))


ROUTES = sorted(all_routes(), key=str)
GUARDED = [route for route in ROUTES if route.needs is not None]
OF_API = [route for route in GUARDED if route.is_api]
OF_PAGES = [route for route in GUARDED if not route.is_api and not isinstance(route.needs, NeedsFirstStep)]
CHANGING = [route for route in GUARDED if not route.is_api and route.method not in _SAFE]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied."""
    file = tmp_path_factory.mktemp("access") / "gatepost.db"

    async def make() -> None:
        database = Database(f"sqlite+aiosqlite:///{file}")
        await database.migrate()
        await database.close()

    asyncio.run(make())
    return file


@pytest.fixture
async def people(migrated: Path, tmp_path: Path) -> AsyncIterator[People]:
    shutil.copy(migrated, tmp_path / "gatepost.db")
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/gatepost.db")
    yield People(database, tmp_path)
    await database.close()


async def ask(client: httpx.AsyncClient, route: Route, *, csrf: str | None = None) -> int:
    """Ask for a route with no more than it takes to be let in, and return the status."""
    data = {CSRF_FIELD: csrf} if csrf is not None else None
    try:
        async with asyncio.timeout(_ANSWER_S):
            answer = await client.request(route.method, route.url, data=data)
    except TimeoutError:
        return 200
    sent_to = answer.headers.get("location", "")
    # A page sends strangers to the log-in.
    return 401 if answer.status_code == 303 and sent_to.startswith("/login?next=") else answer.status_code


async def session(people: People, name: str, step: Step = Step.WHOLE) -> tuple[httpx.AsyncClient, str]:
    """Return a browser with a session that sends no CSRF token by itself, and that token."""
    now = people.clock.now
    value = await open_session(people.database, name, step, address="192.0.2.7", agent="tests", now=now)
    found = await find_session(people.database, value, now)
    assert found is not None
    client = people.site.stranger()
    client.headers["Cookie"] = f"{COOKIE}={value}"
    return client, found.csrf


def test_only_the_log_in_and_links_are_for_everybody() -> None:
    assert {str(route) for route in ROUTES if route.needs is None} == PUBLIC


def test_the_matrix_has_every_endpoint_of_the_application(people: People) -> None:
    app = openapi_app(people.site.backstage)
    described = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    assert described == {str(route) for route in ROUTES if route.is_api}
    outside = {getattr(route, "path", None) for route in app.routes} - {None}
    assert outside <= {f"{API_ROOT}/openapi.json", "/static"} | {route.path for route in ROUTES}


def test_the_api_takes_tokens_and_pages_take_sessions() -> None:
    for route in GUARDED:
        assert isinstance(route.needs, NeedsToken) is route.is_api, str(route)


async def test_nobody_is_refused(people: People) -> None:
    let_in = {}
    async with people.site.stranger() as stranger, people.site.stranger() as liar:
        liar.headers.update({"Authorization": "Bearer gp_wrong", "Cookie": f"{COOKIE}=wrong", CSRF_HEADER: "wrong"})
        for route in GUARDED:
            let_in[str(route)] = await ask(stranger, route), await ask(liar, route)
    assert let_in == {str(route): (401, 401) for route in GUARDED}


async def test_a_change_needs_the_csrf_token_of_its_own_session(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    answers = {}
    for step in Step:
        mine, _ = await session(people, "root", step)
        _, anothers = await session(people, "root", step)
        async with mine:
            for route in CHANGING:
                if isinstance(route.needs, NeedsFirstStep) is (step is Step.PASSWORD):
                    answers[str(route)] = [await ask(mine, route, csrf=brought) for brought in (None, "", anothers)]
    assert answers == {str(route): [403] * 3 for route in CHANGING}


async def test_the_api_takes_no_cookie_and_no_expired_token(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    browser = await people.site.logged_in("root")
    program = await people.site.program("root", Role.ADMINISTRATOR)
    async with browser, program:
        by_cookie = {str(route): await ask(browser, route) for route in OF_API}
        people.clock.now += 3601
        too_late = {str(route): await ask(program, route) for route in OF_API}
    assert by_cookie == too_late == {str(route): 401 for route in OF_API}


async def test_a_page_takes_no_token_no_session_that_is_over_or_half_way_or_of_somebody_shut_out(
    people: People,
) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    program = await people.site.program("root", Role.ADMINISTRATOR)
    half, half_csrf = await session(people, "root", Step.PASSWORD)
    whole, csrf = await session(people, "root")
    answers: dict[str, list[int]] = {str(route): [] for route in OF_PAGES}
    async with program, half, whole:
        for route in OF_PAGES:
            answers[str(route)] += [await ask(program, route), await ask(half, route, csrf=half_csrf)]
        await people.set("root", disabled=True)
        for route in OF_PAGES:
            answers[str(route)].append(await ask(whole, route, csrf=csrf))
        await people.set("root", disabled=False)
        async with people.database.writing() as connection:
            await connection.execute(update(sessions).values(ends_at=people.clock.now - 1))
        for route in OF_PAGES:
            answers[str(route)].append(await ask(whole, route, csrf=csrf))
    assert answers == {str(route): [401] * 4 for route in OF_PAGES}


async def test_the_second_step_is_over_once_the_user_is_in(people: People) -> None:
    await people.site.user("root", Role.ADMINISTRATOR)
    whole, csrf = await session(people, "root")
    async with whole:
        for route in GUARDED:
            if route.path.startswith("/login/second"):
                assert await ask(whole, route, csrf=csrf) == 401, str(route)


@pytest.mark.parametrize("role", Role, ids=str)
async def test_a_role_is_let_in_if_it_has_the_rights_and_else_refused(people: People, role: Role) -> None:
    await people.site.user("somebody", role)
    wrong = {}
    for route in OF_API + OF_PAGES:
        # Anew for each: a log-out is among them.
        if route.is_api:
            client, csrf = await people.site.program("somebody", role), None
        else:
            client, csrf = await session(people, "somebody")
        async with client:
            status = await ask(client, route, csrf=csrf)
        assert route.needs is not None
        may = route.needs.rights <= RIGHTS[role]
        if (status in {401, 403}) is may or (not may and status != 403):
            wrong[str(route)] = status
    assert wrong == {}


async def test_no_secret_is_in_a_page_an_answer_a_log_line_or_the_audit(people: People) -> None:
    secret = pyotp.random_base32()
    await people.add("anna")
    await people.set("anna", totp_secret=secret)
    kept: list[str] = [PASSWORD, VERIFIER, secret, SECRET]
    seen: list[str] = []

    async def look(client: httpx.AsyncClient, method: str, path: str, **more: object) -> httpx.Response:
        answer = await client.request(method, path, **more)  # type: ignore[arg-type]
        seen.append(f"{method} {answer.headers}\n{answer.text}")
        return answer

    with capture_logs() as logs:
        async with people.site.stranger() as browser:
            await look(browser, "POST", "/login", data={"name": "anna", "password": "a wrong password"})
            first = await log_in(browser)
            kept += [browser.cookies[COOKIE], "a wrong password"]
            assert first.status_code == 303
            await take_csrf(browser, "/login/second")
            code = pyotp.TOTP(secret).at(people.clock.now)
            await browser.post("/login/second", data={"code": code})
            kept.append(browser.cookies[COOKIE])
            await take_csrf(browser, "/me")
            # What is shown once, where it is made, is not looked at there: it must not be anywhere else.
            made = await browser.post("/me/tokens", data={"label": "x", "role": "administrator", "days": "9"})
            token = re.findall(r"gp_[\w-]{43}", made.text)[0]
            invited = await browser.post("/users/new", data={"name": "ben", "role": "viewer"})
            link = re.findall(r"/invited/([\w-]{43})", invited.text)[0]
            kept += [token, link]
            await look(browser, "POST", f"/invited/{link}", data={"password": "short-one", "again": "short-one"})
            await look(browser, "POST", f"/invited/{link}", data={"password": "x" * 9000, "again": "x" * 9000})
            kept.append("short-one")
            async with people.site.stranger() as program:
                program.headers["Authorization"] = f"Bearer {token}"
                for route in ROUTES:
                    if route.method == "GET" and not route.path.startswith("/me/totp"):
                        client = program if route.is_api else browser
                        if route.needs is not None or "{" not in route.path:
                            await look(client, "GET", route.url.replace("/users/1", "/users/anna"))
            await look(browser, "POST", "/logout")
    async with people.database.reading() as connection:
        rows = [str(row) for row in await connection.execute(select(audit))]
        stored = [str(row) for row in await connection.execute(select(sessions))]
        stored += [str(row) for row in await connection.execute(select(tokens))]
    assert len(rows) >= 5
    for one in kept:
        assert not [text[:200] for text in seen if one in text], one
        assert one not in json.dumps(logs, default=str)
        assert not [row for row in rows if one in row], one
        assert not [row for row in stored if one in row], one
