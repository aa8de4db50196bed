"""Who gets the mail of a recipient (PURE): the one answer that edge takes mail by, and delivery delivers by.

Order: SRS is led back, a tag (BATV) taken off, the domain that is the same as another taken for it, aliases followed
(with subaddress, then without), then lists, those who know more (`Ask`), and the catch-all.
Input: the recipient, the policy, the secrets, the time. Output: `Placed`, `Ask`, or `Unknown` with the reason.
Standards: RFC 5321 §3.9.1 (aliases), §4.5.1 (postmaster), RFC 5233 (subaddresses).
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.address import Address
from shared.policy import DomainRules, Policy
from shared.policy.aliases import Place, follow, settled, targets_of
from shared.policy.domain import Batv, is_always_taken
from shared.rewriting import batv, srs
from shared.rewriting.keys import RewritingKeys


class By(StrEnum):
    """By what an address leads to another. Several may come one after the other."""

    SRS = "srs"
    BATV = "batv"
    SAME_AS = "same-as"
    ALIAS = "alias"
    SUBADDRESS = "subaddress"
    CATCH_ALL = "catch-all"


class Why(StrEnum):
    """Why nobody gets it. untagged: a bounce for mail that this domain has not sent.

    not-a-bounce: to an address that is there for bounces alone.
    """

    NOBODY = "nobody"
    SRS_FORGED = "srs-forged"
    SRS_EXPIRED = "srs-expired"
    NOT_A_BOUNCE = "not-a-bounce"
    UNTAGGED = "untagged"
    NO_SECRET = "no-secret"


@dataclass(frozen=True, slots=True)
class Placed:
    """Who gets it; at least one. by: empty for the address as it came."""

    places: tuple[Place, ...]
    by: tuple[By, ...] = ()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses of those who get it."""
        return tuple(place.address for place in self.places)

    @property
    def as_written(self) -> bool:
        """Whether the local part is the client's own word, and not that of a table or of SRS."""
        return not {By.ALIAS, By.CATCH_ALL, By.SRS}.intersection(self.by)


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody else knows. address: for whom to ask; its domain's rules name who is asked. placed: if it is known."""

    address: Address
    placed: Placed


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody gets it, or not now (`Why.NO_SECRET`)."""

    reason: Why


Resolution = Placed | Ask | Unknown


def resolve(recipient: Address, policy: Policy, keys: RewritingKeys, *, null_sender: bool, now: float) -> Resolution:
    """Return who gets the mail of a recipient. null_sender: whether it came with `<>`. now: Unix seconds.

    A recipient of a domain that is not ours gets it as it is.
    """
    rules = policy.domains.get(recipient.domain)
    if rules is None:
        return Placed((Place(recipient),))
    if srs.is_rewritten(recipient.local_part):
        back = _led_back(recipient, rules, policy, keys, null_sender=null_sender, now=now)
        if back is not None:
            return back
    tagged = batv.untag(recipient, keys, now, policy.forwarding.bounces_s)
    if tagged is not None and (tagged.proven or rules.batv is not Batv.OFF):
        refused = None if tagged.proven else _untagged(tagged.address, rules, keys, null_sender=null_sender)
        return refused or _found(tagged.address, rules, policy, (By.BATV,))
    return _untagged(recipient, rules, keys, null_sender=null_sender) or _found(recipient, rules, policy, ())


def is_plain(address: str, policy: Policy) -> bool:
    """Whether it can be told at a glance that an address leads to itself."""
    local_part, _, domain = address.rpartition("@")
    rules = policy.domains.get(domain)
    if rules is None:
        # In capitals, or in U-labels, it may be ours all the same.
        return (domain.isascii() and domain.islower()) or domain.startswith("[")
    if rules.aliases or rules.catch_all is not None or rules.same_as is not None or rules.subaddress:
        return False
    return local_part[:4].lower() not in ("srs0", "srs1", "prvs") and not local_part.startswith('"')


def writes_srs(domain: str, policy: Policy) -> bool:
    """Whether mail that is sent on may leave with senders in a domain of ours."""
    if not policy.forwarding.srs:
        return False
    if policy.forwarding.srs_domain is not None:
        return policy.forwarding.srs_domain == domain
    return any(target and target not in policy.domains for target in policy.domains[domain].target_domains)


def _led_back(
    recipient: Address, rules: DomainRules, policy: Policy, keys: RewritingKeys, *, null_sender: bool, now: float
) -> Resolution | None:
    """Return where an address in the form of SRS leads, or None if it is a recipient like others."""
    back = srs.reverse(recipient.local_part, keys, now, policy.forwarding.bounces_s)
    if isinstance(back, Address):
        if not null_sender:
            # Else whoever has seen one such address could send the one behind it mail through us.
            return Unknown(Why.NOT_A_BOUNCE)
        # It may have become ours since.
        own = policy.domains.get(back.domain)
        return _found(back, own, policy, (By.SRS,)) if own is not None else Placed((Place(back),), (By.SRS,))
    if rules.takes(recipient.local_part) and rules.names(recipient.local_part):
        return None
    if not writes_srs(recipient.domain, policy):
        # A server behind us may write its own.
        return Unknown(Why.SRS_EXPIRED) if back is srs.Flaw.EXPIRED else None
    if back is srs.Flaw.NO_SECRET:
        return Unknown(Why.NO_SECRET)
    return Unknown(Why.SRS_EXPIRED if back is srs.Flaw.EXPIRED else Why.SRS_FORGED)


def _untagged(address: Address, rules: DomainRules, keys: RewritingKeys, *, null_sender: bool) -> Unknown | None:
    """Return why mail to an address without a tag that holds is nobody's, or None."""
    if rules.batv is not Batv.ENFORCE or not null_sender or is_always_taken(address.local_part):
        return None
    if not keys:
        return Unknown(Why.NO_SECRET)
    # What is too long for a tag went out without one.
    return Unknown(Why.UNTAGGED) if batv.can_be_tagged(address) else None


def _found(address: Address, rules: DomainRules, policy: Policy, by: tuple[By, ...]) -> Resolution:
    """Return who gets the mail of an address of ours. rules: its domain's."""
    domains = policy.domains
    base = rules.without_subaddress(address.local_part)
    targets = targets_of(address, domains)
    if targets:
        named = rules.alias(address.local_part) or (base is not None and rules.alias(base))
        return Placed(follow(address, targets, domains), (*by, By.ALIAS if named else By.CATCH_ALL))
    place = settled(address, "", domains)
    if place.address.domain != address.domain:
        by = (*by, By.SAME_AS)
    if place.address.local_part != address.local_part:
        by = (*by, By.SUBADDRESS)
    placed = Placed((place,), by)
    if rules.takes(address.local_part) or (base is not None and rules.takes(base)):
        return placed
    if not rules.asks:
        return Unknown(Why.NOBODY)
    # The directory lists people, and not what they write behind the sign; the next server gets, and judges, all of it.
    asked = Address(base, place.address.domain) if base is not None and rules.recipients == "ldap" else place.address
    return Ask(asked, placed)
