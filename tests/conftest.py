"""Real engines for the whole test session; each starts when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.clamd import Clamd
from tests.rabbit import Rabbit
from tests.redis import RedisServer
from tests.rspamd import Rspamd
from tests.spamd import Spamd

_LONG_ID = 30
# The tests of one whole gateway: a second one in the other process would take longer to start than all of them together.
_WHOLE = "tests/e2e"


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """One private RabbitMQ node, with the topology installed."""
    node = Rabbit(tmp_path_factory.mktemp("rabbit"))
    node.start()
    try:
        assert node.install() == ()
        yield node
    finally:
        node.discard()


@pytest.fixture(scope="session")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    """One private clamd that knows the EICAR test file."""
    engine = Clamd(tmp_path_factory.mktemp("clamd"))
    engine.start()
    try:
        yield engine
    finally:
        engine.kill()


@pytest.fixture(scope="session")
def rspamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rspamd]:
    """One private Rspamd that asks nobody and learns nothing."""
    engine = Rspamd(tmp_path_factory.mktemp("rspamd"))
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def spamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spamd]:
    """One private SpamAssassin daemon that asks nobody."""
    engine = Spamd(tmp_path_factory.mktemp("spamd"))
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """One private Redis, empty; it starts in some 20 ms, so each test has its own."""
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(autouse=True)
def _engines_as_new(request: pytest.FixtureRequest) -> None:
    """Begin each test that uses RabbitMQ with empty queues and streams, and each with another engine that runs."""
    if "rabbit" in request.fixturenames:
        rabbit: Rabbit = request.getfixturevalue("rabbit")
        if not rabbit.is_up:  # a test that had killed it has failed
            rabbit.start()
        rabbit.purge()
    for name in ("clamd", "rspamd", "spamd"):
        if name in request.fixturenames and not request.getfixturevalue(name).is_up:
            request.getfixturevalue(name).start()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long octets by their argument: some hold the time at which they were made, and every process names alike."""
    return argname if isinstance(val, bytes | bytearray) and len(val) > _LONG_ID else None


class _ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Gives each process whole files, and all files of one whole gateway to one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _WHOLE if file.startswith(f"{_WHOLE}/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _ByFile(config, log) if config.getoption("dist") == "loadfile" else None
