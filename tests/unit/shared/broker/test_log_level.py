"""A policy that comes into force changes how much a stage logs, at once."""

from collections.abc import Iterator

import pytest
import structlog

from shared import logs
from shared.logs import configure_logs
from shared.settings import LogSettings
from tests.unit.shared.broker.test_in_force import Stream


@pytest.fixture
def settled() -> Iterator[None]:
    before = logs._now.service, logs._now.settled, logs._now.level
    yield
    logs._now.service, logs._now.settled, logs._now.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


async def test_a_policy_sets_the_level_of_its_service_and_the_next_one_takes_it_back(
    settled: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("content", LogSettings(level="warning"))
    stream, log = Stream(), structlog.get_logger()
    await stream.entry(1, "", text='log.content = "debug"\nlog.edge = "error"')
    log.debug("seen")
    await stream.entry(2, "", text='log.edge = "debug"')
    log.info("not-seen")
    log.warning("seen-again")
    said = capsys.readouterr().err
    assert "not-seen" not in said
    assert '"seen"' in said
    assert '"seen-again"' in said
    await stream.entry(3, "", text='log.content = "loud"')
    assert stream.in_force.version == 2
