"""SIGTERM while mail flows: what is under way is finished or handed back, and the exit code is 0."""

import pytest

from tests.failure.account import close_books
from tests.gateway import SERVICES, Gateway
from tests.load.client import Load
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_told_to_end_exits_0_and_neither_loses_nor_repeats(
    service: str, gateway: Gateway, load: Load, sink: Sink
) -> None:
    async with load.running():
        for _ in range(2):
            await load.more(150)
            assert await gateway.stop(service) == 0, gateway.log_end(service)
            await gateway.start(service)
            await gateway.ready()
        await load.more(100)
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    assert books.duplicates == 0
