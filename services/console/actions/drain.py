"""Can this machine be taken down now? (I/O: the broker's management API, and what the overview knows.)

Owns: where each service runs, as the broker sees its connections come, and what would be missing without a host.
Input: `Status`, connections, channels. Output: a `Drain` per host: yes or no, and why.
On failure: ActionError, ManagementError: without the broker's word nobody can tell.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from services.console.actions.desk import Desk, NotFound
from services.console.actions.status import status
from services.console.actions.topology import as_broker
from services.console.answers.drain import Drain, Presence
from services.console.management import ManagementError, management
from services.console.pulse.facts import Status
from services.console.settings import ConsoleSettings
from shared.broker.topology import Queue

__all__ = ["Drain", "Presence", "broker_hosts", "drain", "drains", "judge_drain", "presences"]

_DEADLINE_S = 6.0
# So many events are written within a second or two.
_CAUGHT_UP = 1000
# By the beginning of a connection's name: commands of people are no service.
_SERVICES = {"edge-": "edge", "content-": "content", "delivery-": "delivery", "gatepost-console": "console"}
_WITHOUT = {
    "edge": "no other edge runs: nobody takes mail meanwhile; other servers try again by themselves, your users cannot "
    "send",
    "content": "no other content runs: new mail is taken without a verdict and waits unexamined; what it would have "
    "refused goes to quarantine then",
    "delivery": "no other delivery runs: examined mail waits in its queue",
}
_OF_CONSOLE = (
    "no other console runs: no pages, no API; events wait in their queue, and the oldest are dropped when it is full"
)


async def drains(desk: Desk) -> list[Drain]:
    """Return the answer for every host that is known. Raises OutOfBounds, ActionError, ManagementError."""
    found = await status(desk)
    if found.queues_problem:
        raise ManagementError(found.queues_problem)
    here, brokers = await _asked(desk.settings)
    hosts = sorted({one.host for one in here} | brokers)
    return [judge_drain(host, here, found, is_broker=host in brokers) for host in hosts]


async def drain(desk: Desk, host: str) -> Drain:
    """Return the answer for a host as `drains` names it. Raises NotFound and what `drains` raises."""
    for one in await drains(desk):
        if one.host == host:
            return one
    raise NotFound(f"nothing of Gatepost is connected to the broker from {host}")


def judge_drain(host: str, everywhere: Sequence[Presence], status: Status, *, is_broker: bool) -> Drain:
    """Return the answer (PURE)."""
    services = tuple(one for one in everywhere if one.host == host)
    why_not: list[str] = []
    meanwhile: list[str] = []
    for one in services:
        others = [other for other in everywhere if other.service == one.service and other.host != host]
        # Edge has no consumers of its own queues: that it is connected must do.
        works = [other for other in others if other.consumers or other.service == "edge"]
        if one.service == "console":
            why_not += _recorder_behind(status, has_other=bool(others))
            meanwhile += [] if others else [_OF_CONSOLE]
        elif not works:
            why_not.append(_WITHOUT[one.service])
        if one.in_hand:
            meanwhile.append(f"{one.service} has {one.in_hand} in hand, and finishes or hands them back: none is lost")
    if is_broker:
        why_not += _without_broker(status)
    if any(node.memory_alarm or node.disk_alarm for node in (status.broker.nodes if status.broker else ())):
        why_not.append("the broker has an alarm on and holds publishers back: mend that first")
    return Drain(host, is_broker, not why_not, services, tuple(why_not), tuple(meanwhile))


def _recorder_behind(status: Status, *, has_other: bool) -> list[str]:
    waiting = sum(queue.ready for queue in status.queues if queue.queue == Queue.EVENTS)
    if has_other or waiting <= _CAUGHT_UP:
        return []
    return [f"the recorder is not caught up: {waiting} batches of events wait; try again when they are written"]


def _without_broker(status: Status) -> list[str]:
    running = [node for node in (status.broker.nodes if status.broker else ()) if node.running]
    if len(running) <= 1:
        return ["the only node of the broker runs there: every stage stops, and edge answers 451"]
    lost = [queue.queue for queue in status.queues if queue.members and (queue.online - 1) * 2 <= queue.members]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        return [f"the queue {lost[0]}{more} would lose the majority of its nodes: start the broker's other nodes first"]
    return []


async def _asked(settings: ConsoleSettings) -> tuple[list[Presence], set[str]]:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            connections, channels = await asyncio.to_thread(_ask, settings)
    except TimeoutError:
        raise ManagementError(f"RabbitMQ's management API does not answer within {_DEADLINE_S:.0f} s") from None
    return presences(connections, channels), broker_hosts(connections)


def _ask(settings: ConsoleSettings) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    broker, url = as_broker(settings)
    with management(url, broker) as api:
        connections = json.loads(api.get("vhosts", api.vhost, "connections"))
        return connections, json.loads(api.get("vhosts", api.vhost, "channels"))


def presences(connections: Iterable[Mapping[str, Any]], channels: Iterable[Mapping[str, Any]]) -> list[Presence]:
    """Return which service runs where, by the answers of the API (PURE)."""
    by_name: dict[str, tuple[str, str]] = {}
    found: dict[tuple[str, str], Presence] = {}
    for connection in connections:
        title = str((connection.get("client_properties") or {}).get("connection_name") or "")
        service = next((name for prefix, name in _SERVICES.items() if title.startswith(prefix)), None)
        if service is not None:
            key = service, _host(connection.get("peer_host"))
            by_name[str(connection.get("name"))] = key
            found.setdefault(key, Presence(*key, in_hand=0, consumers=0))
    for channel in channels:
        details = channel.get("connection_details") or {}
        of = by_name.get(str(details.get("name")))
        if of is not None:
            one = found[of]
            in_hand = one.in_hand + int(channel.get("messages_unacknowledged") or 0)
            found[of] = replace(one, in_hand=in_hand, consumers=one.consumers + int(channel.get("consumer_count") or 0))
    order = list(_SERVICES.values())
    return sorted(found.values(), key=lambda one: (one.host, order.index(one.service)))


def broker_hosts(connections: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the hosts from which connections come that are the broker's own (PURE).

    A node's own address is where connections arrive; what comes from there, or from loopback, is on the same host.
    """
    connections = list(connections)
    arrive = {str(one.get("host")) for one in connections}
    return {
        _host(one.get("peer_host"))
        for one in connections
        if str(one.get("peer_host")) in arrive or _is_loopback(_host(one.get("peer_host")))
    }


def _host(value: object) -> str:
    return str(value or "").removeprefix("::ffff:")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
