"""What the tests of content with real engines share."""

import asyncio
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run these tests on the event loop that the service runs on, whose closed transports raise other errors."""
    return {"uvloop": uvloop.new_event_loop}
