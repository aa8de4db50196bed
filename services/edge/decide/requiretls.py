"""Whether a message that asks for TLS all the way can be taken for a recipient (PURE).

Standard: RFC 8689 §4.2.1 (a server that knows beforehand that the requirement cannot be met need not take the message).
Whether a hop does its part is seen when the message gets there; if it does not, the sender is told by a DSN.
"""

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from shared.policy import Policy
from shared.policy.destination import OutboundTls
from shared.routes import keeps_requiretls, parse_route

# RFC 8689 §7: 5.7.30 is "REQUIRETLS support required".
_NOT_KEPT = refuse(RefusalReason.REQUIRETLS_NOT_KEPT, 550, "5.7.30", "REQUIRETLS cannot be kept on the way there")


def judge_requiretls(domain: str, policy: Policy) -> Refusal | None:
    """Return why a recipient in this domain is refused, or None."""
    for choice in policy.routes_of(domain):
        route = parse_route(choice.to)
        if keeps_requiretls(route, tls_off=policy.hop_rules(route, domain).tls is OutboundTls.OFF):
            return None
    return _NOT_KEPT
