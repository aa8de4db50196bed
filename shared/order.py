"""What an administrator orders of waiting mail and of next hops (PURE), as it travels on the stream `gatepost.orders`.

Owns: `Order` and `Target`, their text forms, and for how long an order counts.
Retry, cancel, bounce and reroute concern mail that was received before the order, once for all; suspend and resume
stand until the next one of the same target, and `resume all` ends every suspension.
On failure: OrderError (a ValueError) naming what is wrong (pydantic's names the place).
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter

from shared.address import AddressError, parse_domain
from shared.ids import parse_id
from shared.routes import Route, RouteError, RouteKind, parse_route

# The longest lifetime that a policy allows ([retry] lifetime_s): no mail is older, so no order need be.
LONGEST_LIFETIME_S = 1_209_600
WHY_LIMIT = 500
ALL = "all"
BY_POLICY = "policy"
_MX = "mx:"
_SCHEMES = ("smtp:", "smtps:", "lmtp:", "maildir:", _MX)


class OrderError(ValueError):
    """An order, or its target, that cannot be."""


class OrderKind(StrEnum):
    """What is to be done. cancel: dropped, and nobody is told. bounce: given up, and its sender is told."""

    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"
    CANCEL = "cancel"
    BOUNCE = "bounce"
    REROUTE = "reroute"

    @property
    def stands(self) -> bool:
        """Whether it holds until another one, instead of once for the mail that was there."""
        return self in (OrderKind.SUSPEND, OrderKind.RESUME)

    @property
    def ends(self) -> bool:
        """Whether the message's way is over."""
        return self in (OrderKind.CANCEL, OrderKind.BOUNCE)


class By(StrEnum):
    """How mail is named: by its id (or that of the message it was split from), its recipients' domain, its hop."""

    MESSAGE = "message"
    DOMAIN = "domain"
    HOP = "hop"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Target:
    """Which mail an order concerns. name: an id, a domain, or the key of a hop as `gatepost queue` shows it."""

    by: By
    name: str = ""

    def __str__(self) -> str:
        return ALL if self.by is By.ALL else self.name


@dataclass(frozen=True, slots=True)
class Order:
    """One order. at: Unix seconds. to: the route of a reroute, or `policy` for what the policy says; else empty."""

    id: str
    at: float
    kind: OrderKind
    target: Target
    who: str
    why: str
    to: str = ""

    def __post_init__(self) -> None:
        if (self.kind is OrderKind.REROUTE) != bool(self.to):
            raise OrderError("a route to send to goes with a reroute, and only with that")
        if self.to and self.to != BY_POLICY:
            parse_route(self.to)
        if len(self.why) > WHY_LIMIT:
            raise OrderError(f"the reason is longer than {WHY_LIMIT} characters")

    @property
    def route(self) -> Route | None:
        """Where it sends the mail, or None for what the policy says."""
        return parse_route(self.to) if self.to and self.to != BY_POLICY else None


def parse_target(text: str) -> Target:
    """Return the target that an administrator names: `all`, an id, a hop's key, or a domain. Raises OrderError."""
    text = text.strip()
    if text == ALL:
        return Target(By.ALL)
    if text.lower().startswith(_SCHEMES):
        return Target(By.HOP, _hop_key(text))
    try:
        return Target(By.MESSAGE, parse_id(text))
    except ValueError:
        pass
    try:
        return Target(By.DOMAIN, parse_domain(text))
    except AddressError as error:
        raise OrderError(f"{text[:80]!r} is no id, no next hop and no domain ({error}); `all` means all mail") from None


def parse_to(text: str) -> str:
    """Return the text of where to send mail in its one form: a route, or `policy`. Raises OrderError."""
    if text == BY_POLICY:
        return text
    try:
        return str(parse_route(text))
    except RouteError as error:
        raise OrderError(f"{error}; or policy, for what the policy says") from None


def hop_key(route: Route, domain: str) -> str:
    """Return the key of the hop that a route means for a domain, as in envelopes and events."""
    return f"{_MX}{domain}" if route.kind is RouteKind.MX else str(route)


def _hop_key(text: str) -> str:
    try:
        if text.lower().startswith(_MX):
            return f"{_MX}{parse_domain(text[len(_MX) :])}"
        return str(parse_route(text))
    except ValueError as error:
        raise OrderError(f"{text[:80]!r} is no next hop: {error}") from None


_ORDER = TypeAdapter(Order)


def encode_order(order: Order) -> bytes:
    """Return the stream entry of an order."""
    return _ORDER.dump_json(order)


def decode_order(body: bytes) -> Order:
    """Return the order of a stream entry. Raises ValueError."""
    return _ORDER.validate_json(body)
