"""One whole gateway for the tests of this folder."""

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.gateway import Gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    started = Gateway(tmp_path_factory.mktemp("gateway"))
    try:
        started.start()
        yield started
    finally:
        if started.is_running():
            started.end_and_look(signal.SIGINT)
