"""How long the event loop was held (I/O: metrics, a log line): what a short sleep took beyond its time.

On failure: none. A wait for the processor counts too; `cpu_ms` tells what of it this process used itself.
"""

import asyncio
import time

import structlog
from prometheus_client import Gauge, Histogram

_log = structlog.get_logger()
_lag = Histogram(
    "gatepost_content_loop_lag_seconds",
    "Time that the event loop was held",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
_worst = Gauge(
    "gatepost_content_loop_lag_max_seconds",
    "Longest time that the event loop was held, of the last minute or two",
    multiprocess_mode="livemax",
)
SLEEP_S = 0.025
HELD_S = 0.1
_WINDOW_S = 60.0
_LOG_PAUSE_S = 10.0


async def watch_lag() -> None:
    """Measure until cancelled."""
    worst = before = 0.0
    window_ends = time.monotonic() + _WINDOW_S
    log_again = 0.0
    while True:
        begun, cpu = time.monotonic(), time.thread_time()
        await asyncio.sleep(SLEEP_S)
        now = time.monotonic()
        held = max(now - begun - SLEEP_S, 0.0)
        _lag.observe(held)
        if now > window_ends:
            worst, before, window_ends = 0.0, worst, now + _WINDOW_S
            _worst.set(before)
        if held > worst:
            worst = held
            _worst.set(max(worst, before))
        if held > HELD_S and now > log_again:
            log_again = now + _LOG_PAUSE_S
            cpu_ms = round((time.thread_time() - cpu) * 1000)
            _log.warning("loop-held", held_ms=round(held * 1000), cpu_ms=cpu_ms)
