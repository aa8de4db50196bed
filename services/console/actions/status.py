"""How the pipeline is (I/O: HTTP to the services, management API, SQL).

Output: `Status`; each part that could not be asked says why instead of failing the rest.
"""

import asyncio
import http.client
import json
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from services.console.actions.desk import ActionError, Desk
from services.console.actions.topology import as_broker
from services.console.management import ManagementError, management
from services.console.rows import WAITING
from services.console.settings import ConsoleSettings
from services.console.tables import messages, quarantine
from shared.broker.topology import QUEUES, Queue

_TIMEOUT_S = 3.0
_DAY_S = 86_400.0
_STREAMS = frozenset({Queue.POLICY.value, Queue.ACCOUNTS.value, Queue.ORDERS.value, Queue.KEYS.value})


@dataclass(frozen=True, slots=True)
class Readiness:
    """A service's answer to /readyz. said: its own words, or why it could not be asked."""

    service: str
    url: str
    ready: bool
    said: str


@dataclass(frozen=True, slots=True)
class Depth:
    """A queue: how many wait, how many are in work, how many consumers."""

    queue: str
    ready: int
    unacked: int
    consumers: int
    octets: int


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture. oldest: id, state and first_seen of what has waited longest. outcomes: of the last 24 h."""

    services: tuple[Readiness, ...]
    queues: tuple[Depth, ...]
    queues_problem: str | None
    outcomes: dict[str, int]
    oldest: tuple[str, str, float] | None
    held: int
    database_problem: str | None

    @property
    def is_well(self) -> bool:
        """Whether every service is ready and nothing kept us from asking."""
        return all(one.ready for one in self.services) and not self.queues_problem and not self.database_problem


async def status(desk: Desk) -> Status:
    """Ask everybody."""
    services, (queues, queues_problem) = await asyncio.gather(readiness(desk.settings), _queues(desk.settings))
    outcomes: dict[str, int] = {}
    oldest, held, database_problem = None, 0, None
    try:
        outcomes, oldest, held = await _counts(desk)
    except (SQLAlchemyError, OSError) as error:
        database_problem = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Status(services, queues, queues_problem, outcomes, oldest, held, database_problem)


async def readiness(settings: ConsoleSettings) -> tuple[Readiness, ...]:
    """Ask each service whether it is ready."""
    urls = settings.services.model_dump().items()
    return tuple(await asyncio.gather(*(asyncio.to_thread(_ready, name, url) for name, url in urls)))


async def depths(settings: ConsoleSettings) -> tuple[Depth, ...]:
    """Return what waits in our queues, in the order of the way of a mail. Raises ActionError, ManagementError."""
    return await asyncio.to_thread(_depths, settings)


def get(url: str, path: str, ca_file: Path | None = None) -> tuple[int, str]:
    """Return the status and the text of a small HTTP answer. Raises OSError, http.client.HTTPException. Blocking."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port or 443, timeout=_TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        answer = connection.getresponse()
        return answer.status, answer.read(10_000).decode("utf-8", "replace").strip()
    finally:
        connection.close()


def _ready(service: str, url: str) -> Readiness:
    try:
        code, said = get(url, "/readyz")
    except (OSError, http.client.HTTPException) as error:
        return Readiness(service, url, ready=False, said=f"not reachable: {error}")
    return Readiness(service, url, ready=code == 200, said=said.splitlines()[0] if said else str(code))


def _depths(settings: ConsoleSettings) -> tuple[Depth, ...]:
    broker, url = as_broker(settings)
    with management(url, broker) as api:
        found = json.loads(api.get("queues", broker.vhost))
    order = {spec.name: place for place, spec in enumerate(QUEUES) if spec.name not in _STREAMS}
    ours = sorted((queue for queue in found if queue.get("name") in order), key=lambda queue: order[queue["name"]])
    return tuple(map(_depth, ours))


def _depth(queue: dict[str, Any]) -> Depth:
    # Figures are missing until the broker has first gathered them.
    return Depth(
        queue["name"],
        int(queue.get("messages_ready") or 0),
        int(queue.get("messages_unacknowledged") or 0),
        int(queue.get("consumers") or 0),
        int(queue.get("message_bytes") or 0),
    )


async def _queues(settings: ConsoleSettings) -> tuple[tuple[Depth, ...], str | None]:
    try:
        return await depths(settings), None
    except (ActionError, ManagementError, ValueError) as error:
        return (), str(error)


async def _counts(desk: Desk) -> tuple[dict[str, int], tuple[str, str, float] | None, int]:
    since = time.time() - _DAY_S
    columns = messages.c
    by_state = (
        select(columns.state, func.count())
        .where(columns.last_seen >= since, columns.state.is_not(None))
        .group_by(columns.state)
        .order_by(columns.state)
    )
    waits = (
        select(columns.id, columns.state, columns.first_seen)
        .where(columns.state.in_([state.value for state in WAITING]))
        .order_by(columns.first_seen)
        .limit(1)
    )
    async with desk.database.reading() as connection:
        outcomes = {str(state): int(count) for state, count in await connection.execute(by_state)}
        row = (await connection.execute(waits)).one_or_none()
        held = await connection.scalar(select(func.count()).where(quarantine.c.state == "held")) or 0
    return outcomes, (row.id, row.state, row.first_seen) if row else None, int(held)
