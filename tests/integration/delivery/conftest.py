"""What the delivery tests share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.integration.delivery.parts import Stage


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run these tests on the event loop that the service runs on, whose TLS and transports are its own."""
    return {"uvloop": uvloop.new_event_loop}


MakeStage = Callable[..., Stage]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[MakeStage]:
    """Make delivery stages that end with the test: `stage(policy, zone_files=…)`."""
    made: list[Stage] = []

    def make(policy: str, **more: object) -> Stage:
        made.append(Stage(policy, tmp_path, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        await one.close()
