"""What a refusal counts against the client's address (PURE)."""

from services.edge.decide.refusal import RefusalReason
from services.edge.session import Session
from shared.policy.bans import BanRules

# A recipient that does not exist, a relay try, an address that is none.
_REFUSED = frozenset(
    {
        RefusalReason.RECIPIENT_UNKNOWN,
        RefusalReason.RECIPIENT_ROUTED,
        RefusalReason.RECIPIENT_SYNTAX,
        RefusalReason.RELAY_DENIED,
        RefusalReason.CLIENT_NOT_LISTED,
        RefusalReason.SENDER_SYNTAX,
        RefusalReason.BARE_LINE_END,
        RefusalReason.NUL,
    }
)
# What no mail server does. A header that a *proxy* sent wrongly is not here: it would ban the proxy, and all behind it.
_ABUSE = frozenset(
    {
        RefusalReason.EARLY_TALKER,
        RefusalReason.BAD_LINE,
        RefusalReason.IMPROPER_PIPELINING,
        RefusalReason.XCLIENT,
        RefusalReason.TOO_SLOW,
        RefusalReason.TOO_MANY_ERRORS,
        RefusalReason.TOO_MANY_COMMANDS,
        RefusalReason.TOO_MANY_UNKNOWN_COMMANDS,
        RefusalReason.TOO_MANY_REFUSED_RECIPIENTS,
    }
)


def points_for(reason: RefusalReason, rules: BanRules) -> int:
    """Return how many points a refusal brings; most bring none."""
    if reason is RefusalReason.LOGIN_FAILED:
        return rules.auth_points
    if reason in _REFUSED:
        return rules.refused_points
    return rules.abuse_points if reason in _ABUSE else 0


def is_punished(session: Session) -> bool:
    """Whether failures of a session count against its address.

    Not those of our users, of hosts that may relay, and of whom a rule allows or exempts: many may share one address.
    """
    return session.counted and not session.trusted and not session.may_relay
