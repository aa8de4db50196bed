"""Where an address of ours leads, by the tables of our domains (PURE).

Output: the addresses that get its mail, each with the domain whose table named it.
Decided here: an alias's targets are followed as long as they are aliases; one that names itself, or one before it, gets
the mail there. A target that nobody lists keeps its place: the administrator named it, and the next server has the last
word, so that nothing is lost. Chains have at most 10 links, and lead to at most 1000 addresses.
On failure: AliasError, which a policy that was checked never raises.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.address import Address, canonical_local_part
from shared.policy.domain import DomainRules

DEPTH = 10
RESULTS = 1000

_Seen = tuple[str, str]


class AliasError(ValueError):
    """Aliases that lead too far."""


@dataclass(frozen=True, slots=True)
class Place:
    """Who gets mail. of: the domain whose alias or catch-all named it, empty if the mail came with it."""

    address: Address
    of: str = ""


def home_of(domain: str, domains: Mapping[str, DomainRules]) -> str:
    """Return the domain under which recipients of a domain of ours are delivered."""
    rules = domains[domain]
    if rules.same_as is None or rules.route != domains[rules.same_as].route:
        return domain
    return rules.same_as


def settled(address: Address, of: str, domains: Mapping[str, DomainRules]) -> Place:
    """Return the place of an address that is no alias."""
    rules = domains.get(address.domain)
    if rules is None:
        return Place(address, of)
    base = rules.without_subaddress(address.local_part) if rules.into_maildir else None
    home = home_of(address.domain, domains)
    if base is None and home == address.domain:
        return Place(address, of)
    return Place(Address(base or address.local_part, home), of)


def targets_of(address: Address, domains: Mapping[str, DomainRules]) -> tuple[Address, ...]:
    """Return those whom the table of an address's domain names in its place; none if it is no alias.

    The alias of a local part with its subaddress goes before that of one without. Nobody who is listed is caught.
    """
    rules = domains.get(address.domain)
    if rules is None:
        return ()
    base = rules.without_subaddress(address.local_part)
    targets = rules.alias(address.local_part) or (rules.alias(base) if base is not None else ())
    if not targets and rules.caught_by is not None and not _takes(rules, address.local_part, base):
        targets = (rules.caught_by,)
    if not targets:
        return ()
    home = home_of(address.domain, domains)
    return tuple(target if target.domain else Address(target.local_part, home) for target in targets)


def follow(address: Address, targets: Sequence[Address], domains: Mapping[str, DomainRules]) -> tuple[Place, ...]:
    """Return who gets the mail of an alias. Raises AliasError."""
    start = _key(_named(address, domains))
    walk = _Walk(domains, {start})
    walk.along(address, targets, (start,))
    return tuple(walk.found.values())


def check_aliases(domains: Mapping[str, DomainRules]) -> None:
    """Raise ValueError, which names the key, where aliases lead too far."""
    for domain, rules in domains.items():
        starts = [(f"aliases.{name}", Address(name, domain)) for name in rules.aliases]
        if rules.caught_by is not None:
            starts.append(("catch_all", Address("", domain)))
        for key, start in starts:
            try:
                follow(start, targets_of(start, domains), domains)
            except AliasError as error:
                raise ValueError(f"domains.{domain}.{key} {error}") from None


@dataclass(slots=True)
class _Walk:
    """A walk along aliases. seen: those that were followed; each is once. found: where it ended."""

    domains: Mapping[str, DomainRules]
    seen: set[_Seen]
    found: dict[_Seen, Place] = field(default_factory=dict)

    def along(self, start: Address, targets: Sequence[Address], path: tuple[_Seen, ...]) -> None:
        """Follow the targets of an alias. path: how we came to it, itself included."""
        if len(path) > DEPTH:
            raise AliasError(f"leads over more than {DEPTH} aliases")
        for target in targets:
            key = _key(target)
            more = () if key in path else targets_of(target, self.domains)
            if not more:
                place = settled(target, start.domain, self.domains)
                self.found.setdefault(_key(place.address), place)
                if len(self.found) > RESULTS:
                    raise AliasError(f"leads to more than {RESULTS} addresses")
            elif key not in self.seen:
                self.seen.add(key)
                self.along(target, more, (*path, key))


def _takes(rules: DomainRules, local_part: str, base: str | None) -> bool:
    return rules.takes(local_part) or (base is not None and rules.takes(base))


def _named(address: Address, domains: Mapping[str, DomainRules]) -> Address:
    """Return the address whose alias it is: without its subaddress where the table has none with it.

    So whoever writes to a subaddress follows the very chains that were checked, and none that is longer by it.
    """
    rules = domains[address.domain]
    base = rules.without_subaddress(address.local_part)
    if base is None or rules.alias(address.local_part) or not rules.alias(base):
        return address
    return Address(base, address.domain)


def _key(address: Address) -> _Seen:
    return canonical_local_part(address.local_part).lower(), address.domain
