"""Whether a client gets a session at all (PURE): load, access rules, bans, places."""

import math
from dataclasses import dataclass

from services.edge.decide.refusal import Manner, Refusal, RefusalReason, refuse
from services.edge.session import Session
from shared.policy import Listener, Policy
from shared.policy.access import AccessAction, judge_access
from shared.reply import Reply

_TOO_MANY = refuse(RefusalReason.TOO_MANY_CONNECTIONS, 421, "4.7.0", "Too many connections, try again later")
_ENDING = refuse(RefusalReason.SHUTTING_DOWN, 421, "4.3.2", "Service shutting down, try again later")
_OF_ADDRESS = refuse(
    RefusalReason.TOO_MANY_CONNECTIONS_OF_ADDRESS, 421, "4.7.0", "Too many connections from your address"
)
_OF_NETWORK = refuse(
    RefusalReason.TOO_MANY_CONNECTIONS_OF_NETWORK, 421, "4.7.0", "Too many connections from your network"
)
_ANSWERS = {
    AccessAction.DENY: (RefusalReason.ACCESS_DENIED, 554, "5.7.1", "Access denied", Manner.REPLY),
    AccessAction.DEFER: (RefusalReason.ACCESS_DEFERRED, 421, "4.7.1", "Access deferred, try later", Manner.REPLY),
    AccessAction.DROP: (RefusalReason.ACCESS_DENIED, 554, "5.7.1", "Access denied", Manner.DROP),
    AccessAction.TARPIT: (RefusalReason.ACCESS_DENIED, 554, "5.7.1", "Access denied", Manner.TARPIT),
}


@dataclass(frozen=True, slots=True)
class Load:
    """How many sessions this process has, the new one included, and whether it takes any more."""

    total: int
    of_listener: int
    draining: bool = False


def judge_load(load: Load, policy: Policy, rules: Listener) -> Refusal | None:
    """Return why no session is begun now, whoever comes."""
    if load.draining:
        return _ENDING
    if load.total > policy.limits.connections or load.of_listener > rules.limits.connections:
        return _TOO_MANY
    return None


def judge_access_rules(session: Session, policy: Policy, *, final: bool = False) -> Refusal | None:
    """Return why an access rule keeps the client out, by what is known of it now; note what is settled.

    final: nothing more will be known of it.
    """
    rules = [*session.rules.access, *policy.access] if session.rules.access else policy.access
    if not rules:
        return None
    access = judge_access(rules, session.client, final=final)
    session.settled = access.settled
    if access.rule is None:
        return None
    if access.action is AccessAction.ALLOW:
        session.trusted = True
        return None
    reason, code, enhanced, text, manner = _ANSWERS[access.rule.action]
    return Refusal(reason, Reply(code, enhanced, access.rule.text or text), manner)


def place_refusal(of_network: bool) -> Refusal:
    """Return the refusal of a client whose address or network has all its places."""
    return _OF_NETWORK if of_network else _OF_ADDRESS


def ban_refusal(left_s: float) -> Refusal:
    """Return the refusal of a banned client. left_s: how long the ban still lasts."""
    minutes = max(1, math.ceil(left_s / 60))
    return refuse(RefusalReason.BANNED, 554, "5.7.1", f"Banned after repeated failures, for {minutes} more minutes")
