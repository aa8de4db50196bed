"""kill -9 of each service in turn while mail flows: nothing that got 250 is lost, duplicates stay within the open ones."""

import os
import signal

import pytest

from tests.failure.account import close_books
from tests.gateway import Gateway
from tests.load.client import Load
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KILLS = 3


@pytest.mark.parametrize("service", ["edge", "content", "delivery", "console"])
async def test_a_killed_service_loses_nothing(service: str, gateway: Gateway, load: Load, sink: Sink) -> None:
    async with load.running():
        for _ in range(KILLS):
            await load.more(150)
            await gateway.kill(service)
            await gateway.start(service)
            await gateway.ready()
        await load.more(150)
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    assert books.duplicates <= KILLS * _open_transactions(service, load, sink)


async def test_a_killed_content_worker_loses_nothing(gateway: Gateway, load: Load, sink: Sink) -> None:
    async with load.running():
        for _ in range(KILLS):
            await load.more(150)
            os.kill(gateway.workers("content")[0], signal.SIGKILL)
            # Its sibling goes on meanwhile.
            await load.more(50)
            await gateway.ready()
        await load.more(50)
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    assert books.duplicates <= KILLS * _open_transactions("content", load, sink)


def _open_transactions(service: str, load: Load, sink: Sink) -> int:
    """Return how many transactions a kill can have cut: of clients towards edge and content, of ours towards the sink."""
    match service:
        case "delivery":
            return sink.most_open
        case "console":
            return 0
        case _:
            return load.sessions
