"""The time that the loop was held is measured, and told where it was long."""

import asyncio
import time

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.content.lag import SLEEP_S, watch_lag


async def measured(hold_s: float) -> list[str]:
    with capture_logs() as logs:
        watch = asyncio.create_task(watch_lag())
        await asyncio.sleep(0)
        time.sleep(SLEEP_S + hold_s)
        before = REGISTRY.get_sample_value("gatepost_content_loop_lag_seconds_count") or 0.0
        while REGISTRY.get_sample_value("gatepost_content_loop_lag_seconds_count") == before:
            await asyncio.sleep(0)
        watch.cancel()
    return [str(log["event"]) for log in logs]


async def test_a_loop_that_was_held_is_told() -> None:
    assert await measured(0.15) == ["loop-held"]
    worst = REGISTRY.get_sample_value("gatepost_content_loop_lag_max_seconds")
    assert worst is not None
    assert worst >= 0.15
