"""Real engines for the whole test session; each starts when the first test asks for it."""

from collections.abc import Iterator

import pytest

from tests.rabbit import Rabbit


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """One private RabbitMQ node, with the topology installed."""
    node = Rabbit(tmp_path_factory.mktemp("rabbit"))
    node.start()
    try:
        assert node.install() == ()
        yield node
    finally:
        # Nobody needs its data any more: an orderly stop would cost six seconds.
        node.kill()


@pytest.fixture(autouse=True)
def _empty_queues(request: pytest.FixtureRequest) -> None:
    """Begin each test that uses RabbitMQ with empty queues and streams."""
    if "rabbit" in request.fixturenames:
        request.getfixturevalue("rabbit").purge()
