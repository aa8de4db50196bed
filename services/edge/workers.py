"""The worker processes of one edge host: each takes its share of the connections to the same addresses.

The parent keeps every worker's sockets, so that one that is started again needs no rights to bind them; while it is
gone, its sockets refuse and the kernel gives its share to the others.
"""

import secrets
import sys

import structlog
from pydantic import SecretStr

from services.edge import privileges
from services.edge.settings import EdgeSettings
from services.edge.sockets import Sockets, refuse
from shared.logs import configure_logs
from shared.workers import Crew, Pulse, Workers

# Beyond the drain of the sessions: for what is told and closed after it.
STOP_S = 15.0


def workers(settings: EdgeSettings, sockets: list[Sockets]) -> Workers:
    """Return the parent of this host's workers. sockets: of each, bound."""
    if settings.loop_key is None:
        # One for all: a loop may come home through another worker.
        settings = settings.model_copy(update={"loop_key": SecretStr(secrets.token_hex(32))})

    def on_death(number: int) -> None:
        for bound in sockets[number].values():
            for one in bound:
                refuse(one)

    crew = Crew(
        "edge",
        len(sockets),
        run_worker,
        lambda number: (settings, sockets[number]),
        settings.drain_timeout_s + STOP_S,
        reloads=True,
        on_death=on_death,
    )
    return Workers(crew, settings)


def run_worker(settings: EdgeSettings, sockets: Sockets, pulse: Pulse) -> None:
    """Be one worker process; ends when told, or when its parent is gone."""
    # Here, not at the top: the worker's metrics must see the environment variable that the parent set.
    import uvloop  # noqa: PLC0415

    from services.edge.app import Edge  # noqa: PLC0415

    configure_logs("edge", settings.log)
    structlog.contextvars.bind_contextvars(worker=pulse.number)
    privileges.harden()

    async def work() -> int:
        def on_ready(ready: bool) -> None:
            if not pulse.beat(ready):
                edge.request_stop()

        edge = Edge(settings, sockets, on_ready)
        return await edge.run()

    sys.exit(uvloop.run(work()))
