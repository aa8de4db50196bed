"""A clock that tests move, people with passwords, and what they do in a browser."""

import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from sqlalchemy import select, update

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.identity.tables import users
from services.console.tables import audit
from services.console.web.backstage import Backstage
from services.console.web.who import COOKIE, CSRF_HEADER
from tests.integration.console.authenticator import SoftKey
from tests.integration.console.site import URL, Site
from tests.integration.console.web_settings import settings_for

PASSWORD = "seven green bottles"
# Once per run: an Argon2id verifier costs a tenth of a second.
VERIFIER = PasswordHasher().hash(PASSWORD)


class Clock:
    """Unix seconds, which tests move."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class People:
    """A console with users who have passwords."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = Clock()
        self.database = database
        self.site = Site(Backstage(settings_for(database, folder), database, clock=self.clock))

    async def add(self, name: str = "anna", role: Role = Role.ADMINISTRATOR, domains: list[str] | None = None) -> None:
        await self.site.user(name, role, domains, password=VERIFIER)

    async def set(self, name: str, **values: object) -> None:
        async with self.database.writing() as connection:
            await connection.execute(update(users).where(users.c.name == name).values(values))

    async def row(self, name: str) -> Any:
        async with self.database.reading() as connection:
            return (await connection.execute(select(users).where(users.c.name == name))).one()

    async def audit(self) -> list[Any]:
        async with self.database.reading() as connection:
            return list(await connection.execute(select(audit).order_by(audit.c.at, audit.c.uid)))

    async def actions(self) -> list[tuple[str, str]]:
        return [(row.who, row.action) for row in await self.audit()]

    @asynccontextmanager
    async def in_whole(self, name: str = "anna", password: str = PASSWORD) -> AsyncIterator[httpx.AsyncClient]:
        """Give a browser that logged in by password alone."""
        async with self.site.stranger() as browser:
            answer = await log_in(browser, name, password)
            assert answer.status_code == 303, answer.text
            await take_csrf(browser, "/me")
            yield browser


async def log_in(
    browser: httpx.AsyncClient, name: str = "anna", password: str = PASSWORD, **more: str
) -> httpx.Response:
    return await browser.post("/login", data={"name": name, "password": password} | more)


async def take_csrf(browser: httpx.AsyncClient, path: str) -> str:
    """Read a page's CSRF token, and send it with everything from now on."""
    page = await browser.get(path)
    assert page.status_code == 200, page.text
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    browser.headers[CSRF_HEADER] = found[1]
    return found[1]


def cookie_of(browser: httpx.AsyncClient) -> str:
    return browser.cookies.get(COOKIE) or ""


async def add_key(browser: httpx.AsyncClient, key: SoftKey | None = None) -> SoftKey:
    """Add a passkey in a browser that is logged in."""
    key = key or SoftKey(URL)
    options = json.loads((await browser.post("/me/passkeys/begin")).text)
    done = await browser.post("/me/passkeys", json={"answer": key.create(options), "label": "test key"})
    assert done.json()["next"] in {"/me?note=key", "/me/recovery-codes"}, done.text
    return key
