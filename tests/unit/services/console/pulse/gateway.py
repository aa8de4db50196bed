"""A gateway that is well, for tests to spoil."""

from dataclasses import replace
from typing import Any

from services.console.pulse.facts import Broker, Depth, Engine, Node, Readiness, Status, Surroundings
from shared.broker.topology import Queue

NOW = 1_800_000_000.0
DAY = 86_400.0
SERVICES = ("edge", "content", "delivery", "recorder")


def well(**changes: Any) -> Status:
    """Return a gateway of which nothing is to be said."""
    status = Status(
        tuple(Readiness(name, f"http://{name}:1", ready=True, said="ready", policy_version=4) for name in SERVICES),
        tuple(depth(queue.value) for queue in (Queue.CONTENT, Queue.DELIVERY, Queue.EVENTS)),
        queues_problem=None, outcomes={}, oldest=None, held=0, database_problem=None, at=NOW,
        broker=Broker("4.1.0", (node(),)),
        surroundings=Surroundings(NOW, (Engine("clamd", "a:3310", well=True, said="a:3310 answers", signatures_at=NOW - DAY),)),
    )  # fmt: skip
    return replace(status, **changes)


def depth(queue: str, ready: int = 0, consumers: int = 1, members: int = 3, online: int = 3) -> Depth:
    """Return a queue."""
    return Depth(queue, ready, 0, consumers, 0, members=members, online=online)


def node(name: str = "rabbit@one", **changes: Any) -> Node:
    """Return a node of the broker."""
    return replace(Node(name, True, False, False, 100, 1000, 50_000, 1000), **changes)


def around(**changes: Any) -> Status:
    """Return a gateway in other surroundings."""
    return well(surroundings=Surroundings(NOW, **changes))
