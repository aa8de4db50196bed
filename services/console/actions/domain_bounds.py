"""What a domain manager may change of a domain (PURE).

Decided here: who lives there and what their names lead to, never where mail goes by a route or what is refused. An
alias, or the one who gets all other mail, may lead to domains of ours that are the manager's: a target elsewhere would
send mail out in our name, past what its own domain's administrator decided. What an administrator has set up stays.
On failure: OutOfBounds.
"""

from collections.abc import Iterable, Iterator

from services.console.actions.desk import OutOfBounds
from services.console.domain_edit import KeyPath, steps_of
from services.console.identity.rights import Caller, Right
from shared.address import Address, AddressError, parse_address
from shared.policy import Policy
from shared.policy.domain import DomainRules

MANAGED = ("recipients", "aliases", "catch_all", "subaddress")


def is_free(caller: Caller) -> bool:
    """Whether a caller may change everything of every domain."""
    return caller.may(Right.POLICY) and caller.sees_all


def must_be_managed(paths: Iterable[KeyPath]) -> None:
    """Raise OutOfBounds for keys that are not a domain manager's to change."""
    for path in paths:
        if steps_of(path)[0] not in MANAGED:
            key = ".".join(steps_of(path))
            raise OutOfBounds(f"{key} is for an administrator; you may change {', '.join(MANAGED)}")


def must_stay_inside(caller: Caller, domain: str, before: Policy, after: Policy) -> None:
    """Raise OutOfBounds if a change of a domain's table reaches what is not the caller's."""
    for name, rules in before.domains.items():
        if rules.same_as == domain and not caller.covers(name):
            raise OutOfBounds(f"other domains than yours take their rules from {domain}: ask an administrator")
    known = set(_outside(caller, before.domains[domain], before))
    for name, target in _outside(caller, after.domains[domain], after):
        if (name, target) not in known:
            raise OutOfBounds(
                f"{name} would send mail to {target}, which is in none of your domains: ask an administrator"
            )


def _outside(caller: Caller, rules: DomainRules, policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield each name and target that leads out of the caller's domains."""
    named = [(name, target) for name, targets in rules.aliases.items() for target in targets]
    for name, target in [*named, *([("catch_all", rules.catch_all)] if rules.catch_all is not None else [])]:
        domain = _domain_of(target)
        if domain and not (domain in policy.domains and caller.covers(domain)):
            yield name, target


def _domain_of(target: str) -> str:
    """Return the domain of a target as the policy keeps it; empty for a local part of the domain itself."""
    try:
        address: Address = parse_address(target)
    except AddressError:
        return ""
    return address.domain
