"""Which recipients go to which next hop (PURE).

Input: recipients and the policy. Output: parts, each one hop with its recipients, in the order of the envelope.
Standards: RFC 5321 §4.5.3.1.8 (a server may refuse more than 100 recipients).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.address import AddressError, parse_domain
from shared.envelope import Recipient
from shared.policy import Policy
from shared.routes import Route, RouteKind

RECIPIENTS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop. domain: whose MX is meant, for routes of kind `mx`; else empty."""

    route: Route
    domain: str = ""

    @property
    def key(self) -> str:
        """Its name in envelopes, events and metrics: `smtp://host:25`, `maildir:path`, `mx:example.org`."""
        return f"mx:{self.domain}" if self.route.kind is RouteKind.MX else str(self.route)


@dataclass(frozen=True, slots=True)
class Part:
    """The recipients of one transaction."""

    hop: Hop
    recipients: tuple[Recipient, ...]


def hop_of(domain: str, policy: Policy) -> Hop:
    """Return the next hop of a recipient's domain."""
    if not domain.isascii():
        domain = _a_labels(domain)
    route = policy.route_of(domain)
    return Hop(route, domain if route.kind is RouteKind.MX else "")


def _a_labels(domain: str) -> str:
    # RFC 5890 §2.3.2.4: the same domain in either form. One that has no other form is left to fail at the resolver.
    try:
        return parse_domain(domain)
    except AddressError:
        return domain


def split(recipients: Sequence[Recipient], policy: Policy) -> tuple[Part, ...]:
    """Return the parts that the recipients fall into; one part means that nothing is to be split."""
    by_hop: dict[tuple[Hop, bool], list[Recipient]] = {}
    for recipient in recipients:
        # RFC 6531 §3.5: a hop without SMTPUTF8 can take nothing with a non-ASCII address; the others are not to suffer.
        key = (hop_of(recipient.domain, policy), recipient.address.isascii())
        by_hop.setdefault(key, []).append(recipient)
    return tuple(
        Part(hop, tuple(group[start : start + RECIPIENTS_LIMIT]))
        for (hop, _), group in by_hop.items()
        for start in range(0, len(group), RECIPIENTS_LIMIT)
    )
