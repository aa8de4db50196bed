"""Which recipients go to which next hop (PURE).

Input: recipients and the policy. Output: parts, each one hop with its recipients, in the order of the envelope.
Standards: RFC 5321 §4.5.3.1.8 (a server may refuse more than 100 recipients).
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
    route = policy.route_of(domain)
    return Hop(route, domain if route.kind is RouteKind.MX else "")


def split(recipients: Sequence[Recipient], policy: Policy) -> tuple[Part, ...]:
    """Return the parts that the recipients fall into; one part means that nothing is to be split."""
    by_hop: dict[Hop, list[Recipient]] = {}
    for recipient in recipients:
        by_hop.setdefault(hop_of(recipient.domain, policy), []).append(recipient)
    return tuple(
        Part(hop, tuple(group[start : start + RECIPIENTS_LIMIT]))
        for hop, group in by_hop.items()
        for start in range(0, len(group), RECIPIENTS_LIMIT)
    )
