"""Whether mail to this recipient is taken from this session (PURE): known recipients, and relaying.

Relaying is decided on the final domain of the path alone; a local part that could make another server relay is refused.
Whom a recipient of ours leads to, `shared/rewriting/resolve.py` says: taken is what delivery can place.
Where somebody else knows the recipients, `NOT_VERIFIED` says that it is to be asked; what it knows is then judged here.
Standards: RFC 5321 §3.6 (relaying), §4.5.1 (postmaster), §4.5.3.1.8 (100 recipients), RFC 1870 §6 (sizes), RFC 3463.
"""

from enum import StrEnum

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.session import Session, Transaction
from shared.address import Address, is_routed_local_part
from shared.policy import Policy
from shared.rewriting.resolve import Ask, Placed, Resolution, Unknown, Why

_UNKNOWN = refuse(RefusalReason.RECIPIENT_UNKNOWN, 550, "5.1.1", "Recipient address refused: unknown recipient")
_DENIED = refuse(RefusalReason.RELAY_DENIED, 550, "5.7.1", "Relaying denied")
_ROUTED = refuse(RefusalReason.RECIPIENT_ROUTED, 550, "5.7.1", "Relaying denied: routed local part")
_TOO_MANY = refuse(RefusalReason.TOO_MANY_RECIPIENTS, 452, "4.5.3", "Too many recipients")
_NOT_OURS = refuse(
    RefusalReason.BOUNCE_NOT_OURS, 550, "5.7.1", "Bounce refused: this address has not sent the message that came back"
)
_SRS_INVALID = refuse(RefusalReason.SRS_INVALID, 550, "5.1.1", "Recipient address refused: not written by this server")
_SRS_EXPIRED = refuse(RefusalReason.SRS_EXPIRED, 550, "5.1.1", "Recipient address refused: too old for a bounce")
_NOT_A_BOUNCE = refuse(RefusalReason.NOT_A_BOUNCE, 550, "5.7.1", "Recipient address refused: it takes bounces alone")
_NO_SECRET = refuse(RefusalReason.NO_REWRITING_SECRET, 451, "4.3.5", "Local error in processing, try again later")
_TOO_LARGE = refuse(
    RefusalReason.MESSAGE_TOO_LARGE, 552, "5.3.4", "Message size exceeds the limit of this recipient's domain"
)
_UNPLACED = {
    Why.NOBODY: _UNKNOWN,
    Why.SRS_FORGED: _SRS_INVALID,
    Why.SRS_EXPIRED: _SRS_EXPIRED,
    Why.NOT_A_BOUNCE: _NOT_A_BOUNCE,
    Why.UNTAGGED: _NOT_OURS,
    Why.NO_SECRET: _NO_SECRET,
}
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


def judge_recipient(
    session: Session, policy: Policy, tx: Transaction, recipient: Address, resolution: Resolution
) -> Refusal | None:
    """Return why the recipient is refused, or None. resolution: whom it leads to, where its domain is ours.

    `NOT_VERIFIED`, the very object, where nothing but somebody else's knowledge is wanting: `judge_known` has the rest.
    """
    if len(tx.recipients) >= session.limits.recipients:
        return _TOO_MANY
    rules = policy.domains.get(recipient.domain)
    if rules is None:
        if not session.may_relay or not policy.relay.judge(session.client, tx.sender or "", str(recipient)):
            return _DENIED
        return _ROUTED if is_routed_local_part(recipient.local_part) else None
    if isinstance(resolution, Unknown):
        return _UNPLACED[resolution.reason]
    # RFC 1870 §6.2: a recipient whose limit the declared size exceeds is refused by itself.
    if rules.size_bytes is not None and tx.declared_size > rules.size_bytes:
        return _TOO_LARGE
    if _is_routed(resolution, policy):
        return _ROUTED
    return NOT_VERIFIED if isinstance(resolution, Ask) else None


def size_limit(tx: Transaction, policy: Policy, of_listener: int) -> int:
    """Return how many octets a message may have.

    One reply ends DATA: what is too large for the domain of one recipient is refused for all, so that nobody who was
    taken goes without it unseen. Senders that declare the size hear of it at RCPT, recipient by recipient.
    """
    rules = (policy.domains.get(recipient.domain) for recipient in tx.recipients)
    return min([of_listener, *(one.size_bytes for one in rules if one is not None and one.size_bytes is not None)])


def _is_routed(resolution: Placed | Ask, policy: Policy) -> bool:
    """Whether a local part is handed on, as it stands, by which the next server might route.

    It is where the domain takes it without naming it; the next server would take it when asked, too.
    """
    placed = resolution.placed if isinstance(resolution, Ask) else resolution
    if not placed.as_written:
        return False
    address = placed.addresses[0]
    rules = policy.domains.get(address.domain)
    return is_routed_local_part(address.local_part) and (rules is None or not rules.names(address.local_part))


def judge_known(known: Known) -> Refusal | None:
    """Return why a recipient is refused, by what somebody else knows; in the same words as one that is not listed."""
    if known is Known.YES:
        return None
    return _UNKNOWN if known is Known.NO else NOT_VERIFIED
