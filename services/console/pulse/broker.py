"""The broker as its management API tells (I/O: HTTP in a thread, with a deadline).

Owns: which queues count (streams and reply queues do not), and reading the API's answers: figures are missing until
the broker has first gathered them.
On failure: ActionError where the settings name no management API; ManagementError.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from services.console.actions.topology import as_broker
from services.console.management import Management, ManagementError, management
from services.console.pulse.facts import Broker, Depth, Node
from services.console.settings import ConsoleSettings
from shared.broker.topology import QUEUES, Queue

_DEADLINE_S = 6.0
_STREAMS = frozenset({Queue.POLICY.value, Queue.ACCOUNTS.value, Queue.ORDERS.value, Queue.KEYS.value})
_ORDER = {spec.name: place for place, spec in enumerate(QUEUES) if spec.name not in _STREAMS}
Json = Mapping[str, Any]


async def ask_broker(settings: ConsoleSettings) -> tuple[tuple[Depth, ...], Broker]:
    """Return our queues in the order of a mail's way, and the nodes. Raises ActionError, ManagementError."""
    as_broker(settings)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await asyncio.to_thread(_ask, settings)
    except TimeoutError:
        raise ManagementError(f"RabbitMQ's management API does not answer within {_DEADLINE_S:.0f} s") from None


async def depths(settings: ConsoleSettings) -> tuple[Depth, ...]:
    """Return what waits in our queues, in the order of the way of a mail. Raises ActionError, ManagementError."""
    return (await ask_broker(settings))[0]


def _ask(settings: ConsoleSettings) -> tuple[tuple[Depth, ...], Broker]:
    broker, url = as_broker(settings)
    with management(url, broker) as api:
        return _depths(api), _broker(api)


def _depths(api: Management) -> tuple[Depth, ...]:
    found = json.loads(api.get("queues", api.vhost))
    ours = sorted((queue for queue in found if queue.get("name") in _ORDER), key=lambda queue: _ORDER[queue["name"]])
    return tuple(map(read_depth, ours))


def _broker(api: Management) -> Broker:
    overview = json.loads(api.get("overview"))
    nodes = json.loads(api.get("nodes"))
    return Broker(str(overview.get("rabbitmq_version") or ""), tuple(map(read_node, nodes)))


def read_depth(queue: Json) -> Depth:
    """Return a queue of the API's answer (PURE)."""
    stats = queue.get("message_stats") or {}
    members, online = queue.get("members"), queue.get("online")
    return Depth(
        str(queue["name"]),
        int(queue.get("messages_ready") or 0),
        int(queue.get("messages_unacknowledged") or 0),
        int(queue.get("consumers") or 0),
        int(queue.get("message_bytes") or 0),
        _per_minute(stats, "publish_details"),
        _per_minute(stats, "ack_details"),
        len(members) if isinstance(members, list) else 0,
        len(online) if isinstance(online, list) else 0,
    )


def read_node(node: Json) -> Node:
    """Return a node of the API's answer (PURE)."""
    running = bool(node.get("running"))
    figures = [_count(node, name) for name in ("mem_used", "mem_limit", "disk_free", "disk_free_limit")]
    alarms = running and bool(node.get("mem_alarm")), running and bool(node.get("disk_free_alarm"))
    return Node(str(node.get("name") or ""), running, *alarms, *figures)


def _count(table: Json, name: str) -> int:
    value = table.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _per_minute(stats: Json, name: str) -> float | None:
    details = stats.get(name)
    rate = details.get("rate") if isinstance(details, Mapping) else None
    return float(rate) * 60 if isinstance(rate, int | float) else None
