"""A console with some of everything behind it, and a program of each role that asks its API; not async."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import requests
from pydantic import SecretStr
from sqlalchemy import delete, insert

from services.console.actions.policies import apply_policy, confirm, policy_now
from services.console.database import Database
from services.console.identity.rights import Role
from services.console.identity.secret import digest_of
from services.console.identity.tables import tokens, users
from services.console.settings import ManagementSettings, ServiceUrls
from services.console.tables import accounts
from services.console.web.backstage import Backstage
from shared.ids import new_id
from shared.settings import DnsSettings
from tests.integration.console.in_thread import Loop, loop_in_thread
from tests.integration.console.mail import delivered_story
from tests.integration.console.policy_scene import FIRST, SECOND, PolicyScene
from tests.integration.console.quarantined import hold
from tests.integration.console.site import URL, Site
from tests.integration.console.told import DAY, id_at, write
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit
from tests.redis import RedisServer

DOMAIN = "gatepost.test"
ASKERS = {Role.ADMINISTRATOR: None, Role.OPERATOR: None, Role.DOMAIN_MANAGER: [DOMAIN], Role.VIEWER: [DOMAIN]}
_NOWHERE = "http://127.0.0.1:1"


@dataclass(slots=True)
class Scene:
    """A console, and who asks it. known: by the name of a parameter, what is there."""

    loop: Loop
    database: Database
    policy: PolicyScene | None
    askers: dict[Role, httpx.AsyncClient] = field(default_factory=dict)
    known: dict[str, list[Any]] = field(default_factory=dict)

    def ask(self, role: Role, case: Any) -> httpx.Response:
        """Ask as the generated case says, with the token of somebody of that role."""
        wanted = requests.Request(**_for_requests(case.as_transport_kwargs(base_url=URL))).prepare()
        assert wanted.method is not None
        assert wanted.url is not None
        headers = {name: _text(value) for name, value in wanted.headers.items() if name.lower() != "authorization"}
        body = wanted.body.encode() if isinstance(wanted.body, str) else wanted.body
        assert body is None or isinstance(body, bytes)
        client = self.askers[role]
        return self.loop.do(client.request(wanted.method, wanted.url, headers=headers, content=body))

    def renew(self) -> None:
        """Put back what requests have taken away."""
        self.loop.do(self._renew())

    async def _renew(self) -> None:
        now = time.time()
        held = await hold(self.database, f"demo@{DOMAIN}")
        token = digest_of("somebody's"), new_id()
        async with self.database.writing() as connection:
            await connection.execute(delete(users).where(users.c.name == "ben"))
            await connection.execute(delete(accounts).where(accounts.c.login == f"demo@{DOMAIN}"))
            await connection.execute(delete(tokens).where(tokens.c.digest == token[0]))
            row = {"login": f"demo@{DOMAIN}", "argon2": "", "senders": "[]", "disabled": False, "created_at": now}
            await connection.execute(insert(accounts), [row])
            row = {"digest": token[0], "id": token[1], "user_name": "ben", "label": "x", "role": "viewer"}
            await connection.execute(insert(tokens), [row | {"made_at": now, "ends_at": now + 3600}])
        if self.policy is not None:
            await Site(self.policy.backstage).user("ben", Role.VIEWER, [DOMAIN])
            now_in_force = await policy_now(self.policy.host)
            if now_in_force is not None and now_in_force.waits:
                await confirm(self.policy.host, now_in_force.entry.version)
            await apply_policy(self.policy.host, random.Random(held[0]).choice([FIRST, SECOND]), "tests")
        self.known = {
            "message_id": [held[0], id_at(DAY)], "id": [held[0]], "part": [held[1]], "domain": [DOMAIN],
            "login": [f"demo@{DOMAIN}"], "name": ["ben"], "user": ["ben"], "host": ["127.0.0.1"], "version": [1, 2],
            "based_on": [None], "old": [1], "new": [2], "place": [1], "token": [token[1]], "address": ["192.0.2.7"],
            "client": ["192.0.2.7"], "listener": ["mx"], "text": [FIRST, SECOND], "targets": [[DOMAIN], ["all"]],
            "target": [[DOMAIN]], "recipients": [[f"demo@{DOMAIN}"]], "senders": [[f"@{DOMAIN}"]],
            "copies": [[{"id": held[0], "part": held[1]}]], "to": [1, "mx"], "sender": ["m@example.org"],
        }  # fmt: skip

    def with_known(self, case: Any, chance: random.Random) -> Any:
        """Return a case that names some of what is there: nobody guesses an id."""
        for values in (case.path_parameters, case.query, case.body):
            if not isinstance(values, dict):
                continue
            for name in values:
                if name in self.known and chance.random() < 0.7:
                    values[name] = chance.choice(self.known[name])
        return case


@contextmanager
def scene(rabbit: Rabbit | None, folder: Path) -> Iterator[Scene]:
    """Give a console with a broker, Redis, a policy, stories and held mail; without `rabbit` with nothing but SQL."""
    with loop_in_thread() as loop, ExitStack() as stack:
        redis = None
        if rabbit is not None:
            redis = RedisServer(folder)
            redis.start()
            stack.callback(redis.kill)

        async def begin() -> Scene:
            database = Database(f"sqlite+aiosqlite:///{folder}/gatepost.db")
            await database.migrate()
            stack.callback(lambda: loop.do(database.close()))
            policy = None
            if rabbit is not None and redis is not None:
                policy = PolicyScene(rabbit, database, folder, redis.settings)
                stack.callback(lambda: loop.do(policy.close()))
            made = Scene(loop, database, policy)
            site = Site(_backstage(database, folder, rabbit, policy))
            await write(database, delivered_story(id_at(DAY), DAY), delivered_story(id_at(time.time()), time.time()))
            for role, domains in ASKERS.items():
                await site.user(f"{role.value}@{DOMAIN}", role, domains)
                made.askers[role] = await site.program(f"{role.value}@{DOMAIN}", role, domains)
            return made

        made = loop.do(begin())
        stack.callback(lambda: [loop.do(client.aclose()) for client in made.askers.values()])
        made.renew()
        yield made


def _backstage(database: Database, folder: Path, rabbit: Rabbit | None, policy: PolicyScene | None) -> Backstage:
    settings = settings_for(database, folder) if policy is None else policy.backstage.settings
    changes: dict[str, object] = {
        "dns": DnsSettings(nameservers=["127.0.0.1:1"], timeout_s=0.1),
        "services": ServiceUrls(edge=_NOWHERE, content=_NOWHERE, delivery=_NOWHERE, recorder=_NOWHERE),
    }
    if rabbit is not None:
        root = rabbit.settings("admin")
        password = SecretStr(root.password.get_secret_value())
        changes["management"] = ManagementSettings(url=rabbit.management_url, user=root.user, password=password)
    publisher = None if policy is None else policy.backstage.publisher
    return Backstage(settings.model_copy(update=changes), database, publisher)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _for_requests(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name in requests.Request.__init__.__code__.co_varnames}
