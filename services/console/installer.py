"""Declares Gatepost's topology, users and rights in RabbitMQ (I/O: its management API).

Owns: `apply` and `add_monitor` (what `gatepost topology apply` runs; idempotent) and `compare` (what `doctor` shows).
Input: the names of shared/broker/topology.py, an administrator, a password for each service's user.
Output: the differences that cannot be mended by declaring again, in words: an exchange or queue that exists with other
arguments keeps them until an administrator has emptied and removed it.
On failure: ManagementError.
"""

import asyncio
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from services.console.management import Management, Present, management
from shared.broker.topology import (
    BROKER_POLICIES,
    EXCHANGE_TYPES,
    QUEUES,
    REPLY_PREFIX,
    RIGHTS,
    Argument,
    Exchange,
    QueueSpec,
)
from shared.settings import BrokerSettings


async def apply(admin: BrokerSettings, management_url: str, passwords: Mapping[str, str]) -> tuple[str, ...]:
    """Declare all that is missing; return what differs all the same, a sentence each. Raises ManagementError.

    passwords: by user; every user of RIGHTS that is named gets it.
    """
    return await asyncio.to_thread(_apply, admin, management_url, passwords)


async def compare(admin: BrokerSettings, management_url: str) -> tuple[str, ...]:
    """Return how the broker differs from the topology, a sentence each. Raises ManagementError."""
    return await asyncio.to_thread(_compare, admin, management_url)


def add_monitor(admin: BrokerSettings, management_url: str, monitor: BrokerSettings) -> None:
    """Have a user see queue depths, without a right to any queue. Raises ManagementError."""
    with management(management_url, admin) as broker:
        broker.put("users", monitor.user, body={"password": monitor.password.get_secret_value(), "tags": "monitoring"})
        # No queue and no exchange has an empty name.
        nothing: dict[str, JsonValue] = {"configure": "^$", "write": "^$", "read": "^$"}
        broker.put("permissions", broker.vhost, monitor.user, body=nothing)


def differences(present: Present) -> tuple[str, ...]:
    """Return how what is there differs from the topology (PURE)."""
    return (
        *_exchange_differences(present),
        *_queue_differences(present),
        *_binding_differences(present),
        *_rights_differences(present),
    )


def _apply(admin: BrokerSettings, management_url: str, passwords: Mapping[str, str]) -> tuple[str, ...]:
    with management(management_url, admin) as broker:
        present = broker.present()
        for exchange, kind in EXCHANGE_TYPES.items():
            if exchange.value not in {there.name for there in present.exchanges}:
                broker.put("exchanges", broker.vhost, exchange.value, body={"type": kind, "durable": True})
        for spec in QUEUES:
            _declare(broker, spec, present)
        for policy in BROKER_POLICIES:
            definition: dict[str, JsonValue] = {**policy.definition}
            body: dict[str, JsonValue] = {"pattern": policy.pattern, "definition": definition, "apply-to": "queues"}
            broker.put("policies", broker.vhost, policy.name, body=body)
        for user, rights in RIGHTS.items():
            if user in passwords:
                broker.put("users", user, body={"password": passwords[user], "tags": ""})
                body = {"configure": rights.configure, "write": rights.write, "read": rights.read}
                broker.put("permissions", broker.vhost, user, body=body)
        return differences(broker.present())


def _declare(broker: Management, spec: QueueSpec, present: Present) -> None:
    if spec.name not in {queue.name for queue in present.queues}:
        arguments: dict[str, JsonValue] = {**spec.arguments}
        broker.put("queues", broker.vhost, spec.name, body={"durable": True, "arguments": arguments})
    bound = {(binding.source, binding.destination, binding.routing_key) for binding in present.bindings}
    for exchange, key in spec.bindings:
        if (exchange.value, spec.name, str(key)) not in bound:
            path = ("bindings", broker.vhost, "e", exchange.value, "q", spec.name)
            broker.post(*path, body={"routing_key": str(key)})


def _compare(admin: BrokerSettings, management_url: str) -> tuple[str, ...]:
    with management(management_url, admin) as broker:
        return differences(broker.present())


def _exchange_differences(present: Present) -> Iterator[str]:
    there = {exchange.name: exchange for exchange in present.exchanges}
    for exchange, kind in EXCHANGE_TYPES.items():
        found = there.get(exchange.value)
        if found is None:
            yield f"exchange {exchange.value} is missing"
        elif found.type != kind or not found.durable:
            lasting = "durable" if found.durable else "transient"
            yield f"exchange {exchange.value} is a {lasting} {found.type}, expected a durable {kind}"


def _queue_differences(present: Present) -> Iterator[str]:
    there = {queue.name: queue for queue in present.queues}
    for spec in QUEUES:
        found = there.get(spec.name)
        if found is None:
            yield f"queue {spec.name} is missing"
            continue
        if not found.durable:
            yield f"queue {spec.name} is transient, expected durable"
        for name in sorted(spec.arguments.keys() | found.arguments.keys()):
            wanted, has = spec.arguments.get(name), found.arguments.get(name)
            if wanted != has and not _is_default(name, wanted, has):
                yield (
                    f"queue {spec.name}: {name} is {_shown(has)}, expected {_shown(wanted)};"
                    " arguments cannot be changed: empty and delete the queue, then apply again"
                )


def _is_default(name: str, wanted: Argument | None, has: Argument | None) -> bool:
    return name == "x-queue-type" and "classic" in (wanted, has) and None in (wanted, has)


def _shown(value: Argument | None) -> str:
    return "not set" if value is None else str(value)


def _binding_differences(present: Present) -> Iterator[str]:
    wanted = {(exchange.value, spec.name, str(key)) for spec in QUEUES for exchange, key in spec.bindings}
    ours = {exchange.value for exchange in Exchange}
    there = {
        (binding.source, binding.destination, binding.routing_key)
        for binding in present.bindings
        if binding.source in ours and not binding.destination.startswith(REPLY_PREFIX)
    }
    for source, destination, key in sorted(wanted - there):
        yield f"exchange {source} does not feed queue {destination} with key {key}"
    for source, destination, key in sorted(there - wanted):
        yield f"exchange {source} also feeds {destination} with key {key}, not ours: its readers see mail"


def _rights_differences(present: Present) -> Iterator[str]:
    there = {rights.user: rights for rights in present.rights}
    for user, wanted in RIGHTS.items():
        found = there.get(user)
        if found is None:
            yield f"user {user} has no rights in the vhost"
        elif (found.configure, found.write, found.read) != (wanted.configure, wanted.write, wanted.read):
            yield f"user {user} has other rights than its own: apply the topology again"
