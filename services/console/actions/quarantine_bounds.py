"""Whose a quarantined copy is (PURE).

Mail from outside is of its recipients' domains, mail of our own users of its sender's domain. Who is in charge of
single domains sees a copy that one of them has a part in, and of its recipients only theirs; decides about it only
when all of its recipients are theirs, for a release sends it to all. What nobody can read the envelope of is nobody's.
On failure: OutOfBounds.
"""

import json
from collections.abc import Iterable

from services.console.actions.desk import OutOfBounds
from services.console.identity.rights import Caller
from shared.envelope import Direction, Envelope


def may_see(caller: Caller, envelope: Envelope | None) -> bool:
    """Whether a copy is of the caller's domains, at least in part."""
    whose = _whose(envelope)
    return caller.sees_all or (whose is not None and any(map(caller.covers, whose)))


def may_decide(caller: Caller, envelope: Envelope | None) -> bool:
    """Whether the caller may release, delete and the like."""
    whose = _whose(envelope)
    return caller.sees_all or (whose is not None and all(map(caller.covers, whose)))


def must_decide(caller: Caller, message_id: str, envelopes: Iterable[Envelope | None]) -> None:
    """Raise OutOfBounds unless the caller may decide about every copy."""
    if not all(may_decide(caller, envelope) for envelope in envelopes):
        raise OutOfBounds(f"{message_id} is not for your domains alone: an administrator decides about it")


def as_seen(caller: Caller, envelope: Envelope) -> Envelope:
    """Return the envelope with the recipients that the caller may know of."""
    if caller.sees_all or may_decide(caller, envelope):
        return envelope
    return envelope.with_recipients(tuple(one for one in envelope.recipients if caller.covers(one.address)))


def names_rule(envelope: Envelope | None, check: str, rule: str) -> bool:
    """Whether a rule holds a copy: the name of a check, or a rule as the policy or a verdict names it."""
    if check == rule:
        return True
    reasons = envelope.verdict.reasons if envelope is not None and envelope.verdict is not None else ()
    return any(rule in (one.rule, one.key, one.check.value) for one in reasons if one.action.value != "accept")


def domain_marks(domains: Iterable[str]) -> list[str]:
    """Return what stands in the text of every envelope in which an address of one of the domains does."""
    return [json.dumps(f"@{domain}")[1:] for domain in sorted(domains)]


def _whose(envelope: Envelope | None) -> list[str] | None:
    """Return the addresses whose domains a copy is of, or None where nobody can tell."""
    if envelope is None:
        return None
    if envelope.direction is Direction.OUTBOUND:
        return [envelope.sender]
    return [recipient.address for recipient in envelope.recipients]
