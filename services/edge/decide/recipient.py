"""Whether mail to this recipient is taken from this session (PURE): known recipients, and relaying.

Relaying is decided on the final domain of the path alone; a local part that could make another server relay is refused.
Standards: RFC 5321 §3.6 (relaying), §4.5.1 (postmaster), §4.5.3.1.8 (100 recipients), RFC 3463.
"""

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.session import Session
from shared.address import Address, is_routed_local_part
from shared.policy import Policy

_UNKNOWN = refuse(RefusalReason.RECIPIENT_UNKNOWN, 550, "5.1.1", "Recipient address refused: unknown recipient")
_DENIED = refuse(RefusalReason.RELAY_DENIED, 550, "5.7.1", "Relaying denied")
_ROUTED = refuse(RefusalReason.RECIPIENT_ROUTED, 550, "5.7.1", "Relaying denied: routed local part")
_TOO_MANY = refuse(RefusalReason.TOO_MANY_RECIPIENTS, 452, "4.5.3", "Too many recipients")


def complete(recipient: Address, policy: Policy, hostname: str) -> Address:
    """Return the recipient with a domain: `<postmaster>` gets this host's name if it is ours, else our first domain."""
    if recipient.domain:
        return recipient
    if hostname in policy.domains or not policy.domains:
        return Address(recipient.local_part, hostname)
    return Address(recipient.local_part, next(iter(policy.domains)))


def judge_recipient(session: Session, policy: Policy, recipient: Address, already: int) -> Refusal | None:
    """Return why the recipient is refused, or None. already: recipients that the transaction has."""
    if already >= policy.limits.recipients:
        return _TOO_MANY
    rules = policy.domains.get(recipient.domain)
    if rules is None:
        if not session.may_relay:
            return _DENIED
        return _ROUTED if is_routed_local_part(recipient.local_part) else None
    if not rules.takes(recipient.local_part):
        return _UNKNOWN
    # A domain that takes any local part hands this one on as it stands; the next server might route by it.
    if rules.recipients == "any" and is_routed_local_part(recipient.local_part):
        return _ROUTED
    return None
