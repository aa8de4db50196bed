"""Which recipients go to which next hops (PURE).

Input: recipients and the policy. Output: parts, each the hops that may take it and its recipients, in the order of the
envelope.
Standards: RFC 5321 §4.5.3.1.8 (a server may refuse more than 100 recipients).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.address import AddressError, parse_domain
from shared.envelope import Recipient
from shared.policy import DeliveryRules, Policy, RetryRules
from shared.routes import Route, RouteKind, parse_route

# Of the recipients in one envelope, which is to fit one frame with all else in it (shared/wire.py): an alias may name
# a thousand, and a sender write five hundred octets of ORCPT for each.
_RECIPIENTS_LIMIT_BYTES = 80_000
_RECIPIENT_BYTES = 60


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop. domain: whose MX is meant, for routes of kind `mx`; else empty."""

    route: Route
    domain: str = ""

    @property
    def key(self) -> str:
        """Its name in envelopes, events and metrics: `smtp://host:25`, `maildir:path`, `mx:example.org`."""
        return f"mx:{self.domain}" if self.route.kind is RouteKind.MX else str(self.route)

    def rules(self, policy: Policy) -> DeliveryRules:
        """Return how it is spoken to."""
        return policy.hop_rules(self.route, self.domain)

    def retry_rules(self, policy: Policy) -> RetryRules:
        """Return when mail for it is tried again."""
        return policy.retry_rules(self.route, self.domain)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the hops that may take a message: those of the lowest priority first, which share by weight."""

    hop: Hop
    priority: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """The recipients of one transaction, and the hops that may take it, best priority first; at least one."""

    choices: tuple[Choice, ...]
    recipients: tuple[Recipient, ...]

    @property
    def hop(self) -> Hop:
        """The hop that is meant first."""
        return self.choices[0].hop


def choices_of(domain: str, policy: Policy) -> tuple[Choice, ...]:
    """Return the next hops of a recipient's domain, best priority first."""
    if not domain.isascii():
        domain = _a_labels(domain)
    return tuple(
        Choice(_hop(parse_route(choice.to), domain), choice.priority, choice.weight)
        for choice in policy.routes_of(domain)
    )


def hop_of(domain: str, policy: Policy) -> Hop:
    """Return the first next hop of a recipient's domain."""
    return choices_of(domain, policy)[0].hop


def rerouted(domain: str, route: Route) -> tuple[Choice, ...]:
    """Return the one next hop of a domain whose mail an administrator sends elsewhere."""
    return (Choice(_hop(route, domain)),)


def in_turn(choices: Sequence[Choice], draw: Callable[[], float]) -> list[Hop]:
    """Return the hops in the order in which a message tries them: by priority, within one drawn by weight.

    draw: gives a random number from 0 up to 1.
    """
    if len(choices) == 1:
        return [choices[0].hop]
    # RFC 2782's effect: the key u^(1/w) sorts a weighted draw without replacement.
    keyed = [(choice.priority, -(draw() ** (1 / choice.weight)), place) for place, choice in enumerate(choices)]
    return [choices[place].hop for _, _, place in sorted(keyed)]


def split(recipients: Sequence[Recipient], policy: Policy, to: Route | None = None) -> tuple[Part, ...]:
    """Return the parts that the recipients fall into; one part means that nothing is to be split.

    to: where an administrator sends them, whatever the policy says.
    """
    by_hop: dict[tuple[tuple[Choice, ...], bool], list[Recipient]] = {}
    for recipient in recipients:
        domain = recipient.domain
        choices = choices_of(domain, policy) if to is None else rerouted(domain, to)
        # RFC 6531 §3.5: a hop without SMTPUTF8 can take nothing with a non-ASCII address; the others are not to suffer.
        by_hop.setdefault((choices, recipient.address.isascii()), []).append(recipient)
    return tuple(
        Part(choices, tuple(recipients_of_one))
        for (choices, _), group in by_hop.items()
        for recipients_of_one in _groups(group, choices[0].hop.rules(policy).recipients_per_transaction)
    )


def _groups(recipients: Sequence[Recipient], limit: int) -> Iterator[Sequence[Recipient]]:
    """Return recipients in groups that fit a transaction, and an envelope."""
    start = octets = 0
    for place, recipient in enumerate(recipients):
        room = _RECIPIENT_BYTES + _octets(recipient.address) + _octets(recipient.orcpt or "")
        if place > start and (place - start >= limit or octets + room > _RECIPIENTS_LIMIT_BYTES):
            yield recipients[start:place]
            start, octets = place, 0
        octets += room
    yield recipients[start:]


def _octets(text: str) -> int:
    """Return how many octets a text takes in JSON."""
    return len(text.encode("utf-8", "replace")) + text.count('"') + text.count("\\")


def _hop(route: Route, domain: str) -> Hop:
    return Hop(route, domain if route.kind is RouteKind.MX else "")


def _a_labels(domain: str) -> str:
    # RFC 5890 §2.3.2.4: the same domain in either form. One that has no other form is left to fail at the resolver.
    try:
        return parse_domain(domain)
    except AddressError:
        return domain
