"""Whether a message that asks for TLS all the way can be taken for a recipient (PURE).

Standard: RFC 8689 §4.2.1 (a server that knows beforehand that the requirement cannot be met need not take the message).
"""

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from shared.routes import Route, keeps_requiretls

# RFC 8689 §8: 5.7.30 is "REQUIRETLS support required".
_NOT_KEPT = refuse(RefusalReason.REQUIRETLS_NOT_KEPT, 550, "5.7.30", "REQUIRETLS cannot be kept on the way there")


def judge_requiretls(route: Route) -> Refusal | None:
    """Return why a recipient with this route is refused, or None."""
    return None if keeps_requiretls(route) else _NOT_KEPT
