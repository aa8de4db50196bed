"""What the console counts for Prometheus, of a real broker and database."""

import asyncio
import time
from pathlib import Path

from prometheus_client import REGISTRY
from pydantic import SecretStr

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.gauges import Gauges
from services.console.identity.rights import on_this_host
from services.console.rows import Summary, event_rows
from services.console.settings import ManagementSettings
from services.console.store import Store
from shared.broker.topology import Queue
from shared.event import encode_events
from shared.ids import new_id
from tests.integration.console.mail import delivered_story
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit


def figure(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_queues_alarms_and_the_age_of_what_waits_are_told_and_taken_away_when_unknown(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path
) -> None:
    admin = rabbit.settings("admin")
    there = ManagementSettings(url=rabbit.management_url, user=admin.user, password=admin.password)
    settings = settings_for(sqlite, tmp_path, rabbit.settings("console")).model_copy(update={"management": there})
    now = time.time()
    story = delivered_story(new_id(), now - 500)[:4]
    async with sqlite.writing() as connection:
        summaries: dict[str, Summary] = {}
        rows = event_rows(encode_events(story), summaries)
        await Store(is_sqlite=True).write_events(connection, rows, summaries)
    gauges = Gauges(Desk(settings, sqlite, on_this_host("test")))
    async with asyncio.timeout(30):
        # The broker gathers its figures every few seconds: those of the test before stand there for a while.
        while figure("gatepost_queue_consumers", queue=Queue.DELIVERY.value) != 0:
            await gauges.look(now)
    assert figure("gatepost_queue_messages", queue=Queue.CONTENT.value, state="ready") == 0
    age = figure("gatepost_oldest_waiting_seconds", state="accepted")
    assert age is not None
    assert 490 < age < 510
    assert figure("gatepost_oldest_waiting_seconds", state="retrying") == 0
    assert figure("gatepost_quarantine_messages") == 0
    wrong = there.model_copy(update={"password": SecretStr("wrong")})
    gauges = Gauges(Desk(settings.model_copy(update={"management": wrong}), sqlite, on_this_host("test")))
    await gauges.look(now)
    assert figure("gatepost_queue_messages", queue=Queue.CONTENT.value, state="ready") is None
