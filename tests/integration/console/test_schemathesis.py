"""No request that the API's own description allows, or forbids, makes it fail in a way that we did not foresee."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from services.console.actions.policies import apply_policy
from services.console.database import Database
from services.console.identity.rights import Role
from services.console.web.app import openapi_app
from services.console.web.backstage import Backstage
from shared.settings import DnsSettings
from tests.integration.console.in_thread import Loop, loop_in_thread
from tests.integration.console.mail import delivered_story
from tests.integration.console.policy_scene import FIRST, PolicyScene
from tests.integration.console.quarantined import hold
from tests.integration.console.site import URL, Site
from tests.integration.console.told import DAY, id_at, write
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit

_EXAMPLES = 4
_SEED = 6
# They read the policy's stream to its end, or ask DNS, engines and ports of the machine: each takes a second.
_LONG = ("/policy", "/access", "/domains", "/doctor", "/drain", "/dkim")


def described() -> Any:
    """Return the description as a client reads it."""
    database = Database("sqlite+aiosqlite://")
    app = openapi_app(Backstage(settings_for(database, Path(tempfile.gettempdir())), database))
    return schemathesis.openapi.from_dict(app.openapi(), config=SchemathesisConfig(seed=_SEED))


SCHEMA = described()
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


class Asked:
    """A console with some of everything, and an administrator's program that asks it."""

    def __init__(self, loop: Loop, client: httpx.AsyncClient) -> None:
        self._loop = loop
        self._client = client

    def __call__(self, case: Any) -> httpx.Response:
        wanted = requests.Request(**_known(case.as_transport_kwargs(base_url=URL))).prepare()
        assert wanted.method is not None
        assert wanted.url is not None
        headers = {name: as_text(value) for name, value in wanted.headers.items() if name.lower() != "authorization"}
        body = wanted.body.encode() if isinstance(wanted.body, str) else wanted.body
        assert body is None or isinstance(body, bytes)
        return self._loop.do(self._client.request(wanted.method, wanted.url, headers=headers, content=body))


def as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _known(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name in requests.Request.__init__.__code__.co_varnames}


@pytest.fixture(scope="module")
def ask(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A console with a broker, a policy, stories and held mail."""
    folder = tmp_path_factory.mktemp("schemathesis")
    with loop_in_thread() as loop, ExitStack() as stack:

        async def begin() -> httpx.AsyncClient:
            database = Database(f"sqlite+aiosqlite:///{folder}/gatepost.db")
            await database.migrate()
            scene = PolicyScene(rabbit, database, folder)
            nowhere = scene.backstage.settings.model_copy(
                update={"dns": DnsSettings(nameservers=["127.0.0.1:1"], timeout_s=0.1)}
            )
            backstage = Backstage(nowhere, database, scene.backstage.publisher)
            stack.callback(lambda: loop.do(database.close()))
            stack.callback(lambda: loop.do(scene.close()))
            await apply_policy(scene.host, FIRST, "tests")
            await write(database, delivered_story(id_at(DAY), DAY), delivered_story(id_at(time.time()), time.time()))
            await hold(database)
            site = Site(backstage)
            await site.user("root", Role.ADMINISTRATOR)
            return await site.program("root", Role.ADMINISTRATOR)

        client = loop.do(begin())
        stack.callback(lambda: loop.do(client.aclose()))
        yield Asked(loop, client)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_asked_of_the_api_it_never_fails_unforeseen(
    ask: Asked, operation: str, mode: GenerationMode
) -> None:
    wrong: dict[str, str] = {}

    @seed(_SEED)
    @settings(
        max_examples=1 if any(part in operation for part in _LONG) else _EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[operation].as_strategy(mode))
    def ask_for(case: Any) -> None:
        answer = ask(case)
        if answer.status_code >= 500 and not (answer.status_code == 503 and _is_ours(answer)):
            wrong[f"{answer.status_code} {answer.text[:200]}"] = case.as_curl_command()

    if mode is GenerationMode.NEGATIVE and not _has_inputs(operation):
        return
    ask_for()
    assert wrong == {}


def _has_inputs(operation: str) -> bool:
    """Whether there is anything that could be wrong in what is asked."""
    found = OPERATIONS[operation]
    return bool([*found.path_parameters, *found.query, *found.headers, *found.body])


def _is_ours(answer: httpx.Response) -> bool:
    """Whether a refusal for now says what is missing, and that it is not the database."""
    is_problem = answer.headers["Content-Type"] == "application/problem+json"
    return is_problem and "the database" not in answer.json()["detail"]
