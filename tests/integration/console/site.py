"""The console's pages and API without a socket, and users of every role who are logged in."""

import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import insert

from services.console.identity.rights import Role
from services.console.identity.secret import digest_of, new_secret
from services.console.identity.sessions import Step, find_session, open_session
from services.console.identity.tables import tokens, users
from services.console.web.app import create_app
from services.console.web.backstage import Backstage
from services.console.web.who import COOKIE, CSRF_HEADER
from shared.ids import new_id

URL = "https://console.test"


class Site:
    """An application and its users."""

    def __init__(self, backstage: Backstage) -> None:
        self.backstage = backstage
        # To make one takes longer than most of what is asked of it.
        self._app = create_app(backstage)

    async def user(self, name: str, role: Role, domains: Iterable[str] | None = None, password: str = "") -> None:
        """Add a user. password: an Argon2id verifier, if any."""
        now = time.time()
        row = {
            "name": name,
            "role": role.value,
            "domains": None if domains is None else json.dumps(sorted(domains)),
            "argon2": password,
            "totp_secret": None,
            "totp_step": None,
            "disabled": False,
            "made_at": now,
            "changed_at": now,
        }
        async with self.backstage.database.writing() as connection:
            await connection.execute(insert(users), [row])

    def stranger(self) -> httpx.AsyncClient:
        """Return a client of nobody."""
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False, client=("192.0.2.7", 9))
        return httpx.AsyncClient(transport=transport, base_url=URL)

    async def logged_in(self, name: str) -> httpx.AsyncClient:
        """Return a browser in which a user is logged in; it brings the CSRF token with everything."""
        database, now = self.backstage.database, self.backstage.clock()
        value = await open_session(database, name, Step.WHOLE, address="192.0.2.7", agent="tests", now=now)
        session = await find_session(database, value, now)
        assert session is not None
        client = self.stranger()
        client.headers.update({"Cookie": f"{COOKIE}={value}", CSRF_HEADER: session.csrf})
        return client

    async def program(self, name: str, role: Role, domains: Iterable[str] | None = None) -> httpx.AsyncClient:
        """Return a program with a token of a user."""
        token, now = new_secret("gp_"), self.backstage.clock()
        row = {
            "digest": digest_of(token),
            "id": new_id(),
            "user_name": name,
            "label": "tests",
            "role": role.value,
            "domains": None if domains is None else json.dumps(sorted(domains)),
            "made_at": now,
            "ends_at": now + 3600,
        }
        async with self.backstage.database.writing() as connection:
            await connection.execute(insert(tokens), [row])
        client = self.stranger()
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    @asynccontextmanager
    async def browser(
        self, role: Role = Role.ADMINISTRATOR, domains: Iterable[str] | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        """Give a browser of a new user."""
        name = f"{role.value}-{new_id()}"
        await self.user(name, role, domains)
        async with await self.logged_in(name) as client:
            yield client

    @asynccontextmanager
    async def api(
        self, role: Role = Role.ADMINISTRATOR, domains: Iterable[str] | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        """Give a program with a token of a new user."""
        name = f"{role.value}-{new_id()}"
        await self.user(name, role, domains)
        async with await self.program(name, role, domains) as client:
            yield client
