"""Both databases for the console's tests, a recorder that runs, and mail as the stages send it."""

import itertools
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from services.console.actions import policy_stream
from services.console.database import Database
from services.console.domain_check.asking import RouteQuestions
from tests.integration.console.command import Gatepost
from tests.integration.console.postgres import Postgres, private_cluster
from tests.rabbit import Rabbit

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _alone_with_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but the test publishes policies, and its stream begins empty: it need not listen long for others' ones."""
    monkeypatch.setattr(policy_stream, "_SILENCE_S", 0.4)
    monkeypatch.setattr(policy_stream, "_seen", {})


@pytest.fixture
def nobody_on_the_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no delivery here: what asks it about a domain's routes need not wait for as long as it may take."""
    hasty = partial(RouteQuestions, deadline_s=0.3)
    monkeypatch.setattr("services.console.domain_check.asking.RouteQuestions", hasty)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One private cluster for the session."""
    for cluster in private_cluster():
        if cluster is None:
            pytest.skip("PostgreSQL is not installed")
        yield cluster


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/gatepost.db"
    else:
        url = await request.getfixturevalue("postgres").fresh(f"test{next(_numbers)}")
    made = Database(url)
    await made.migrate()
    yield made
    await made.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated SQLite database."""
    made = Database(f"sqlite+aiosqlite:///{tmp_path}/gatepost.db")
    await made.migrate()
    yield made
    await made.close()


@pytest.fixture
def gatepost(rabbit: Rabbit, tmp_path: Path) -> Gatepost:
    """The command with a settings file and an SQLite database of its own."""
    return Gatepost(tmp_path, rabbit)
