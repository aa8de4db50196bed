"""Whether a host can be taken down now (PURE)."""

from dataclasses import dataclass

_HOW = (
    "Take it out of DNS or the load balancer first, if edge runs there.",
    "Stop the services with SIGTERM, as systemctl stop does: each finishes or hands back what it has, and ends.",
)


@dataclass(frozen=True, slots=True)
class Presence:
    """A service on a host. in_hand: messages that it has taken and not finished. consumers: of its queues."""

    service: str
    host: str
    in_hand: int
    consumers: int


@dataclass(frozen=True, slots=True)
class Drain:
    """The answer for one host. can: whether mail goes on without it. why_not: what would stop. meanwhile: what would
    happen, and is no reason against it. how: the steps.
    """

    host: str
    is_broker: bool
    can: bool
    services: tuple[Presence, ...]
    why_not: tuple[str, ...]
    meanwhile: tuple[str, ...]
    how: tuple[str, ...] = _HOW
