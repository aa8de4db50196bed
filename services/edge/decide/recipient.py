"""Whether mail to this recipient is taken from this session (PURE): known recipients, and relaying.

Relaying is decided on the final domain of the path alone; a local part that could make another server relay is refused.
Where somebody else knows the recipients, `NOT_VERIFIED` says that it is to be asked; what it knows is then judged here.
Standards: RFC 5321 §3.6 (relaying), §4.5.1 (postmaster), §4.5.3.1.8 (100 recipients), RFC 3463.
"""

from enum import StrEnum

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.session import Session, Transaction
from shared.address import Address, is_routed_local_part
from shared.policy import Policy

_UNKNOWN = refuse(RefusalReason.RECIPIENT_UNKNOWN, 550, "5.1.1", "Recipient address refused: unknown recipient")
_DENIED = refuse(RefusalReason.RELAY_DENIED, 550, "5.7.1", "Relaying denied")
_ROUTED = refuse(RefusalReason.RECIPIENT_ROUTED, 550, "5.7.1", "Relaying denied: routed local part")
_TOO_MANY = refuse(RefusalReason.TOO_MANY_RECIPIENTS, 452, "4.5.3", "Too many recipients")
NOT_VERIFIED = refuse(
    RefusalReason.RECIPIENT_NOT_VERIFIED, 450, "4.1.1", "Recipient address cannot be verified now, try again later"
)


class Known(StrEnum):
    """What somebody else knows of a recipient."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


def complete(recipient: Address, policy: Policy, hostname: str) -> Address:
    """Return the recipient with a domain: `<postmaster>` gets this host's name if it is ours, else our first domain."""
    if recipient.domain:
        return recipient
    if hostname in policy.domains or not policy.domains:
        return Address(recipient.local_part, hostname)
    return Address(recipient.local_part, next(iter(policy.domains)))


def judge_recipient(session: Session, policy: Policy, tx: Transaction, recipient: Address) -> Refusal | None:
    """Return why the recipient is refused, or None.

    `NOT_VERIFIED`, the very object, where nothing but somebody else's knowledge is wanting: `judge_known` has the rest.
    """
    if len(tx.recipients) >= session.limits.recipients:
        return _TOO_MANY
    rules = policy.domains.get(recipient.domain)
    if rules is None:
        if not session.may_relay or not policy.relay.judge(session.client, tx.sender or "", str(recipient)):
            return _DENIED
        return _ROUTED if is_routed_local_part(recipient.local_part) else None
    taken = rules.takes(recipient.local_part)
    if not taken and not rules.asks:
        return _UNKNOWN
    # A local part that the domain takes without naming it is handed on as it stands; the next server might route by it,
    # and would take it when asked.
    if is_routed_local_part(recipient.local_part) and not rules.names(recipient.local_part):
        return _ROUTED
    return None if taken else NOT_VERIFIED


def judge_known(known: Known) -> Refusal | None:
    """Return why a recipient is refused, by what somebody else knows; in the same words as one that is not listed."""
    if known is Known.YES:
        return None
    return _UNKNOWN if known is Known.NO else NOT_VERIFIED
