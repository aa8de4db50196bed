"""The worker processes of one content host.

Output: what each of them is. On failure: a worker that dies is started again; its messages went back to their queue.
"""

import asyncio
import signal

import structlog

from services.content.settings import ContentSettings
from shared.logs import configure_logs
from shared.workers import Crew, Pulse, Workers

STOP_S = 25.0
_APART = "without [redis] each worker counts by itself, and the brake on an account holds as many times later"
_log = structlog.get_logger()


def workers(settings: ContentSettings) -> Workers:
    """Return the parent of this host's workers."""
    if settings.workers > 1 and settings.redis is None:
        _log.warning("workers-count-apart", workers=settings.workers, cause=_APART)
    crew = Crew("content", settings.workers, run_worker, lambda _number: (settings,), STOP_S)
    return Workers(crew, settings)


def run_worker(settings: ContentSettings, pulse: Pulse) -> None:
    """Be one worker process; ends when told, or when its parent is gone."""
    # Here, not at the top: the worker's metrics must see the environment variable that the parent set.
    import uvloop  # noqa: PLC0415

    from services.content.app import ContentWorker  # noqa: PLC0415

    configure_logs("content", settings.log)
    structlog.contextvars.bind_contextvars(worker=pulse.number)

    async def work() -> None:
        stop = asyncio.Event()
        # Ctrl-C reaches the whole foreground group; the parent tells the workers in its own time.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

        def on_ready(ready: bool) -> None:
            if not pulse.beat(ready):
                stop.set()

        await ContentWorker(settings, on_ready).run(stop)

    uvloop.run(work())
