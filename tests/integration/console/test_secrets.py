"""No secret is in an answer, a log line or an audit row but where it is made and shown once: each endpoint, each setting.

Secrets: those of the settings, what users and accounts log in with, sessions, tokens, links, recovery codes, and the
private halves of DKIM keys.
"""

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pyotp
import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy import select
from structlog.testing import capture_logs

from services.console.actions.policies import apply_policy
from services.console.database import Database
from services.console.identity.rights import Role
from services.console.settings import AdminSettings, LearningSettings, ManagementSettings
from services.console.tables import accounts, audit, dkim_keys, metadata
from services.console.web.backstage import Backstage
from services.console.web.who import COOKIE, CSRF_HEADER, KNOWN_COOKIE
from shared.settings import DnsSettings, RedisSettings
from tests.integration.console.people import PASSWORD, VERIFIER, take_csrf
from tests.integration.console.policy_scene import FIRST, PolicyScene
from tests.integration.console.site import Site
from tests.integration.console.test_access_matrix import ROUTES
from tests.rabbit import Rabbit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_PLACES = {"domain": "gatepost.test", "name": "anna", "login": "user@gatepost.test", "version": "1"}
# They end the session, or take away what is looked for later; and one goes on for ever.
_LAST = ("/logout", "/me/sessions", "/users/{name}", "/first/", "/invited/", "/digest/", "/login")


@dataclass(slots=True)
class Looked:
    """What was seen, and what must not be. kept: a secret with the endpoint that may show it, or none."""

    answers: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    def keep(self, secret: str, shown_by: str = "") -> str:
        assert len(secret) >= 8, "too short to be found for sure"
        self.kept[secret] = shown_by
        return secret

    async def ask(self, client: httpx.AsyncClient, method: str, path: str, **more: object) -> httpx.Response:
        answer = await client.request(method, path, **more)  # type: ignore[arg-type]
        headers = [f"{name}: {value}" for name, value in answer.headers.multi_items() if name != "set-cookie"]
        self.answers.append((f"{method} {path}", "\n".join([*headers, answer.text])))
        return answer

    def wrong(self, others: dict[str, str]) -> list[str]:
        """Return where a secret is seen that should not. others: texts that may have none, by name."""
        found = []
        for secret, shown_by in self.kept.items():
            found += [f"{secret} in {at}" for at, text in self.answers if secret in text and at != shown_by]
            found += [f"{secret} in {name}" for name, text in others.items() if secret in text]
        return found


@pytest.fixture
async def scene(rabbit: Rabbit, sqlite: Database, tmp_path: Path) -> AsyncIterator[PolicyScene]:
    made = PolicyScene(rabbit, sqlite, tmp_path)
    yield made
    await made.close()


def settings_secrets(model: BaseModel) -> Iterator[str]:
    """Yield each secret of settings, wherever it stands."""
    for value in (getattr(model, name) for name in type(model).model_fields):
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from settings_secrets(value)


def site_of(scene: PolicyScene) -> Site:
    """Return pages and API with a secret in every place where settings have one."""
    changes = {
        "management": ManagementSettings(
            url="http://127.0.0.1:1", user="monitor", password=SecretStr("management-pw-1")
        ),
        "admin": AdminSettings(user="admin", password=SecretStr("administrator-pw-2")),
        "antispam": LearningSettings(address="127.0.0.1:1", password=SecretStr("controller-pw-3")),
        "redis": RedisSettings(port=1, password=SecretStr("redis-password-4")),
        "dns": DnsSettings(nameservers=["127.0.0.1:1"], timeout_s=0.1),
    }
    backstage = scene.backstage
    return Site(replace(backstage, settings=backstage.settings.model_copy(update=changes)))


async def test_no_secret_is_where_it_was_not_made(scene: PolicyScene, caplog: pytest.LogCaptureFixture) -> None:
    # As shared/logs.py has it for what is not ours, whatever the policy says.
    caplog.set_level(logging.WARNING)
    looked, site = Looked(), site_of(scene)
    for secret in settings_secrets(site.backstage.settings):
        if not secret.startswith("sqlite"):
            looked.keep(secret)
    await apply_policy(scene.host, FIRST, "first")
    await site.user("anna", Role.ADMINISTRATOR, password=VERIFIER)
    looked.keep(PASSWORD)
    looked.keep(VERIFIER)
    with capture_logs() as logs:
        async with site.stranger() as browser, site.stranger() as program:
            await log_in(looked, browser)
            await make_some(looked, browser, program)
            await keep_what_is_stored(looked, site.backstage)
            await ask_everything(looked, browser, program)
        rows = await everything_stored(site.backstage.database)
    lines = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    others = {"a log line": json.dumps(logs, default=str), "a library's log line": "\n".join(lines), **rows}
    assert len(looked.kept) > 20
    assert looked.wrong(others) == []


async def log_in(looked: Looked, browser: httpx.AsyncClient) -> None:
    looked.keep("a wrong password")
    await looked.ask(browser, "POST", "/login", data={"name": "anna", "password": "a wrong password"})
    await looked.ask(browser, "POST", "/login", data={"name": "a wrong password", "password": "x"})
    await looked.ask(browser, "POST", "/login", data={"name": "anna", "password": PASSWORD})
    looked.keep(browser.cookies[COOKIE])
    looked.keep(browser.cookies[KNOWN_COOKIE])
    # Pages have their session's token for forms, and nothing else does.
    csrf = await take_csrf(browser, "/me")
    browser.headers[CSRF_HEADER] = csrf


async def make_some(looked: Looked, browser: httpx.AsyncClient, program: httpx.AsyncClient) -> None:
    """Make what is secret, in each way."""
    page = await looked.ask(browser, "GET", "/me/totp")
    groups = re.search(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", page.text)
    assert groups, page.text
    secret = groups[0].replace(" ", "")
    looked.keep(groups[0], "GET /me/totp")
    looked.keep(secret, "GET /me/totp")
    wrong = await looked.ask(browser, "POST", "/me/totp", data={"code": "000000"})
    # The form is shown again.
    assert groups[0] in wrong.text
    looked.answers.pop()
    done = await looked.ask(browser, "POST", "/me/totp", data={"code": pyotp.TOTP(secret).now()})
    shown = re.search(r'(?s)id="codes"[^>]*>(.*?)</pre>', done.text)
    assert shown, done.text
    for code in shown[1].split():
        looked.keep(code, "POST /me/totp")
    made = await looked.ask(browser, "POST", "/me/tokens", data={"label": "x", "role": "administrator", "days": "9"})
    token = looked.keep(re.findall(r"gp_[\w-]{43}", made.text)[0], "POST /me/tokens")
    program.headers["Authorization"] = f"Bearer {token}"
    another = await looked.ask(program, "POST", "/api/v1/tokens", json={"label": "y", "role": "viewer"})
    looked.keep(another.json()["token"], "POST /api/v1/tokens")
    invited = await looked.ask(browser, "POST", "/users/new", data={"name": "ben", "role": "viewer"})
    link = looked.keep(re.findall(r"/invited/([\w-]{43})", invited.text)[0], "POST /users/new")
    invited = await looked.ask(program, "POST", "/api/v1/users", json={"name": "eve", "role": "viewer"})
    looked.keep(invited.json()["link"].rpartition("/")[2], "POST /api/v1/users")
    for password in ("short-one", "ben ben ben ben ben"):
        looked.keep(password)
        async with httpx.AsyncClient(transport=browser._transport, base_url=browser.base_url) as ben:
            answer = await ben.post(f"/invited/{link}", data={"password": password, "again": password})
            # Its own address, which has the secret, is in no answer.
            looked.answers.append(("POST /invited", f"{answer.headers}\n{answer.text}"))
    account = {"login": _PLACES["login"], "password": "an account's password", "cram_md5": True}
    looked.keep("an account's password")
    assert (await looked.ask(program, "POST", "/api/v1/accounts", json=account)).status_code == 201
    told = await looked.ask(program, "PUT", f"/api/v1/accounts/{_PLACES['login']}/password", json={})
    looked.keep(told.json()["password"], f"PUT /api/v1/accounts/{_PLACES['login']}/password")
    assert (await looked.ask(program, "POST", "/api/v1/domains/gatepost.test/dkim", json={})).status_code == 201


async def keep_what_is_stored(looked: Looked, backstage: Backstage) -> None:
    """Keep the secrets that only the database has."""
    async with backstage.database.reading() as connection:
        keys = (await connection.execute(select(dkim_keys.c.private_key))).scalars().all()
        row = (await connection.execute(select(accounts))).one()
    assert len(keys) == 2
    for key in keys:
        for line in key.splitlines()[1:-1]:
            looked.keep(line if len(line) >= 8 else line + "\n")
    for verifier in (row.argon2, row.scram, row.cram_md5):
        looked.keep(verifier, looked.kept.get(verifier, ""))
        with_parts = verifier.split("$") if verifier.startswith("$argon2") else []
        for part in with_parts[-2:]:
            looked.keep(part)


async def ask_everything(looked: Looked, browser: httpx.AsyncClient, program: httpx.AsyncClient) -> None:
    """Ask each endpoint by whoever may do all of it, with nothing more than its path, and then with a body that is none."""
    for route in ROUTES:
        if route.path.startswith(_LAST) or route.path.endswith("/me/totp"):
            continue
        path = re.sub(r"\{(\w+)[^}]*\}", lambda found: _PLACES.get(found[1], "1"), route.path)
        client = program if route.is_api else browser
        if route.method == "GET":
            await looked.ask(client, "GET", path)
        elif "dkim" not in path and "/accounts/" not in path:
            await looked.ask(client, route.method, path, json={"password": "in a body of no form", "x": [PASSWORD]})
            await looked.ask(client, route.method, path, content=b'{"password": "in a body of no form", ')
    looked.keep("in a body of no form")
    await looked.ask(browser, "POST", "/logout")


async def everything_stored(database: Database) -> dict[str, str]:
    """Return the audit, and all tables that hold no secrets by their purpose."""
    secrets_live_in = {"users", "accounts", "dkim_keys"}
    async with database.reading() as connection:
        stored = {
            f"the table {name}": "\n".join(map(str, (await connection.execute(select(table))).all()))
            for name, table in metadata.tables.items()
            if name not in secrets_live_in
        }
    assert len(stored[f"the table {audit.name}"].splitlines()) > 10
    return stored
