"""Small work that no client waits for: counting failures, learning from verdicts.

On failure: what raises is logged; beyond the bound, further work is dropped and counted.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from services.edge import metrics

_log = structlog.get_logger()
_LIMIT = 1000


class Background:
    """The work under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a piece of work, or drop it where too much is under way."""
        if len(self._tasks) >= _LIMIT:
            work.close()
            metrics.BACKGROUND_DROPPED.inc()
            return
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, timeout_s: float) -> None:
        """Let what is under way end, within the time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:  # nobody waits for it who could tell
        _log.exception("background-work-failed")
