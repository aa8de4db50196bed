"""What waits in delivery, next hops, and orders (PURE)."""

from dataclasses import dataclass

from shared.order import OrderKind


@dataclass(frozen=True, slots=True)
class Destination:
    """What waits for one next hop. hop: None for what was not tried yet, in which state. reasons: the most frequent.

    oldest: when its oldest message came. next_try: the soonest, or None where it is tried as soon as there is room.
    """

    hop: str | None
    state: str
    messages: int
    oldest: float
    next_try: float | None
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """One message that waits."""

    id: str
    hop: str | None
    state: str
    since: float
    next_try: float | None
    sender: str | None
    recipients: str | None
    subject: str | None
    size_bytes: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class HopSeen:
    """How a process of delivery last saw a hop. until: of a back-off, Unix seconds. at: when it told."""

    hop: str
    host: str
    state: str
    cause: str
    until: float | None
    at: float


@dataclass(frozen=True, slots=True)
class OrderShown:
    """An order. target: as in the request."""

    id: str
    at: float
    kind: OrderKind
    target: str
    who: str
    why: str
    to: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """What was ordered. waiting: messages it concerns, as far as the trace knows. state: of the one named by its id.

    held_by: what holds back what was to go on.
    """

    order: OrderShown
    waiting: int
    state: str | None
    held_by: OrderShown | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages targets concern together."""

    waiting: int
