"""What a user is told of, and what a user may release (PURE).

Decided here: only mail from outside that a check holds; only recipients of ours whose domain wants reports; a release
only past the one rule that decided, of a check that the policy lets users decide about, and only where nothing else
holds the mail and every check that was asked came to a result. Malware is never among them.
"""

from collections.abc import Iterator

from services.console.release import HeldCopy, StillHeld, Wish, release_all
from shared.address import AddressError, parse_address
from shared.envelope import Direction, Envelope
from shared.policy import Policy
from shared.policy.domain import DomainRules
from shared.policy.quarantine_digest import NEVER_RELEASED, QuarantineDigestRules
from shared.verdict import Action, CheckName, Verdict

# Held because a check said so; not what was stripped, what nobody examined, or what nobody could deliver.
_BY_VERDICT = frozenset({"quarantine", "refuse"})


def rules_for(policy: Policy, address: str) -> QuarantineDigestRules | None:
    """Return the rules of reports to an address, or None if it gets none: not ours, unknown, or switched off."""
    try:
        parsed = parse_address(address)
    except AddressError:
        return None
    domain = policy.domains.get(parsed.domain)
    if domain is None or not domain.quarantine_digest.enabled or not _is_there(domain, parsed.local_part):
        return None
    return domain.quarantine_digest


def told_recipients(policy: Policy, envelope: Envelope, reason: str) -> Iterator[tuple[str, QuarantineDigestRules]]:
    """Yield the recipients of a held mail who are told of it, each with the rules. reason: why it is held."""
    check = _deciding(envelope, reason)
    if check is None or envelope.direction is not Direction.INBOUND:
        return
    for recipient in envelope.recipients:
        rules = rules_for(policy, recipient.address)
        if rules is not None and check in rules.shown:
            yield recipient.address, rules


def may_release(envelope: Envelope, reason: str, rules: QuarantineDigestRules) -> bool:
    """Whether a recipient may release a mail that is held for it."""
    check = _deciding(envelope, reason)
    if check is None or check not in rules.released or check in NEVER_RELEASED or envelope.verdict is None:
        return False
    if any(_speaks_of_danger(envelope.verdict)):
        return False
    try:
        release_all([HeldCopy(envelope, b"", reason)], Wish("its recipient"), 0.0)
    except StillHeld:
        return False
    return True


def _deciding(envelope: Envelope, reason: str) -> CheckName | None:
    verdict = envelope.verdict
    if reason not in _BY_VERDICT or verdict is None or not verdict.reasons:
        return None
    return verdict.reasons[0].check if verdict.reasons[0].action is not Action.ACCEPT else None


def _speaks_of_danger(verdict: Verdict) -> Iterator[bool]:
    for one in verdict.reasons:
        yield one.check in NEVER_RELEASED and one.action is not Action.ACCEPT
        # A check without a result: nobody knows what the message is.
        yield not one.rule and one.action is Action.DEFER


def _is_there(domain: DomainRules, local_part: str) -> bool:
    """Whether there is such a recipient; where somebody else knows, edge asked before it took the mail."""
    names = [local_part, *filter(None, [domain.without_subaddress(local_part)])]
    return domain.asks or any(domain.takes(name) or domain.alias(name) for name in names)
