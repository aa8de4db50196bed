"""kill -9 of each service in turn while mail flows: nothing that got 250 is lost, duplicates stay within the open ones."""

import os
import signal

import pytest

from shared.event import EventKind
from tests.failure.account import close_books
from tests.gateway import Gateway
from tests.load.client import Load
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KILLS = 3


@pytest.mark.parametrize("service", ["edge", "content", "delivery"])
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
    assert books.duplicates <= KILLS * _open_transactions(service, gateway, load, sink)


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
    assert books.duplicates <= KILLS * gateway.content_holds


async def test_content_workers_without_their_parent_finish_and_end(gateway: Gateway, load: Load, sink: Sink) -> None:
    async with load.running():
        await load.more(150)
        await gateway.orphan("content")
        await gateway.start("content")
        await gateway.ready()
        await load.more(150)
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    assert books.duplicates == 0


async def test_a_killed_recorder_misses_nothing_that_happened(gateway: Gateway, load: Load, sink: Sink) -> None:
    async with load.running():
        for _ in range(KILLS):
            await load.more(100)
            await gateway.kill("console")
            # The queue of events grows meanwhile.
            await load.more(100)
            await gateway.start("console")
            await gateway.ready()
    (await close_books(load, sink, gateway)).assert_kept()
    assert gateway.recorded(EventKind.DELIVERED) == len(sink.arrivals)
    assert gateway.recorded(EventKind.ANSWERED) == len(load.outcomes)


def _open_transactions(service: str, gateway: Gateway, load: Load, sink: Sink) -> int:
    """Return how many transactions a kill can have cut: messages that edge, content or delivery had in hand."""
    match service:
        case "edge":
            return load.sessions
        case "content":
            return gateway.content_holds
        case _:
            return sink.most_open
