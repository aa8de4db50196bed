"""The parent of content's workers."""

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from services.content.settings import ContentSettings
from services.content.workers import workers
from shared.settings import BrokerSettings, HealthSettings, RedisSettings


@pytest.mark.parametrize(
    ("count", "redis", "said"),
    [(2, None, ["workers-count-apart"]), (1, None, []), (2, RedisSettings(), [])],
    ids=["two", "one", "two-with-redis"],
)
def test_workers_that_count_apart_say_so(count: int, redis: RedisSettings | None, said: list[str]) -> None:
    broker = BrokerSettings(user="content", password=SecretStr("secret"))
    settings = ContentSettings(
        hostname="mx.test", workers=count, redis=redis, broker=broker, health=HealthSettings(port=1)
    )
    with capture_logs() as logs:
        workers(settings)
    assert [line["event"] for line in logs] == said
