"""Whatever is asked of the API, its answer is one that its own description has, and it never fails.

Of the default tier are a few requests to each operation; more by each of the roles are slow. All parts that an
operation needs are there, so that none may answer that one is away; which may without them is listed.
"""

import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.web.app import openapi_app
from services.console.web.backstage import Backstage
from tests.integration.console.api_scene import Scene, scene
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit

_SEED = 6
_MANY, _SOME = 50, 10
_CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# What content alone can tell; no content process runs beside these tests.
OF_CONTENT = {"POST /api/v1/simulate/message": "content", "POST /api/v1/quarantine/{message_id}/judge": "content"}
# Without the broker's management API nobody can tell whether the mail goes on; content is asked over the broker.
ABSENT = {
    "GET /api/v1/drain": "management",
    "GET /api/v1/drain/{host}": "management",
    "POST /api/v1/quarantine/{message_id}/judge": "broker",
}
Wrong = dict[str, str]


schemathesis.serializer.alias("message/rfc822", "application/octet-stream")


def described() -> Any:
    """Return the description as a client reads it."""
    database = Database("sqlite+aiosqlite://")
    app = openapi_app(Backstage(settings_for(database, Path(tempfile.gettempdir())), database))
    return schemathesis.openapi.from_dict(app.openapi(), config=SchemathesisConfig(seed=_SEED))


SCHEMA = described()
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


def by_subject() -> dict[str, list[str]]:
    found = defaultdict(list)
    for label, operation in OPERATIONS.items():
        found[operation.tags[0]].append(label)
    return found


def has_inputs(label: str) -> bool:
    """Whether there is anything that could be wrong in what is asked."""
    found = OPERATIONS[label]
    return bool([*found.path_parameters, *found.query, *found.headers, *found.body])


def changes_much(label: str) -> bool:
    return not label.startswith("GET ")


def generate(label: str, mode: GenerationMode, examples: int, ask: Callable[[Any, random.Random], None]) -> None:
    """Ask with so many generated requests."""

    @seed(_SEED)
    @settings(
        max_examples=examples if has_inputs(label) else 1,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(mode), chance=st.randoms(use_true_random=False))
    def each(case: Any, chance: random.Random) -> None:
        ask(case, chance)

    if mode is GenerationMode.POSITIVE or has_inputs(label):
        each()


def look(answer: httpx.Response, case: Any) -> Wrong:
    """Return what is wrong with an answer."""
    wrong = {}
    asked = f"{case.as_curl_command()[:500]}\n{answer.text[:300]}"
    part = OF_CONTENT.get(case.operation.label)
    if answer.status_code >= 500 and not (answer.status_code == 503 and part and part in answer.json()["detail"]):
        wrong[f"{answer.status_code}"] = asked
    try:
        case.validate_response(answer, checks=_CONFORMANCE)
    except FailureGroup as group:
        wrong |= {f"{answer.status_code} {one.title}: {one.message[:300]}": asked for one in group.exceptions}
    return wrong


def ask_much(made: Scene, role: Role, labels: list[str], examples: int, *, anew: bool) -> str:
    """Ask operations by somebody of a role, and tell what was wrong. anew: put back first what each took away."""
    wrong: dict[str, Wrong] = defaultdict(dict)
    for label in labels:
        if anew and changes_much(label):
            made.renew()
        for mode in GenerationMode:

            def ask(case: Any, chance: random.Random, mode: GenerationMode = mode, label: str = label) -> None:
                wanted = made.with_known(case, chance) if mode is GenerationMode.POSITIVE else case
                for what, asked in look(made.ask(role, wanted), wanted).items():
                    wrong[label].setdefault(what, asked)

            generate(label, mode, examples, ask)
    return told(wrong)


def told(wrong: dict[str, Wrong]) -> str:
    return "\n\n".join(f"{label}: {what}\n{asked}" for label, one in wrong.items() for what, asked in one.items())


@pytest.fixture(scope="module")
def whole(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A console with all its parts."""
    with scene(rabbit, tmp_path_factory.mktemp("whole")) as made:
        yield made


@pytest.mark.timeout(300)
def test_a_few_requests_to_each_operation_are_answered_as_described(whole: Scene) -> None:
    whole.renew()
    wrong = ask_much(whole, Role.ADMINISTRATOR, list(OPERATIONS), 2, anew=False)
    assert not wrong, wrong


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("subject", by_subject())
@pytest.mark.parametrize("role", Role, ids=str)
def test_whatever_is_asked_by_whomever_the_answer_is_as_described(whole: Scene, role: Role, subject: str) -> None:
    whole.renew()
    # A check of a domain asks DNS and its routes, each time.
    examples = _MANY if role is Role.ADMINISTRATOR and subject != "domains" else _SOME
    wrong = ask_much(whole, role, by_subject()[subject], examples, anew=True)
    assert not wrong, wrong


@pytest.mark.slow
def test_only_what_needs_an_absent_part_says_so(tmp_path: Path) -> None:
    away: dict[str, str] = {}
    other: dict[str, Wrong] = {}
    with scene(None, tmp_path) as made:
        for label in OPERATIONS:

            def ask(case: Any, chance: random.Random, label: str = label) -> None:
                wanted = made.with_known(case, chance)
                answer = made.ask(Role.ADMINISTRATOR, wanted)
                if answer.status_code == 503:
                    away[label] = answer.json()["detail"]
                elif wrong := look(answer, wanted):
                    other[label] = wrong

            generate(label, GenerationMode.POSITIVE, 2, ask)
    assert not other, told(other)
    assert set(away) == set(ABSENT), away
    assert [label for label, part in ABSENT.items() if part not in away[label]] == []
