"""One of our domains (PURE): who is a recipient there, and where its mail goes."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from shared.address import Address, AddressError, canonical_local_part, parse_address, parse_local_part
from shared.policy.checks import Checks
from shared.policy.patterns import matches_local_part
from shared.policy.quarantine_digest import QuarantineDigestRules
from shared.policy.table import Domain, LocalPart, RouteText, Table
from shared.routes import RouteKind, parse_route

# RFC 5321 §4.5.1, RFC 2142 §2: taken by every domain, whatever its list says.
ALWAYS_TAKEN = frozenset({"postmaster", "abuse"})


def is_always_taken(local_part: str) -> bool:
    """Whether a local part is taken in every domain of ours, past lists and greylisting."""
    return canonical_local_part(local_part).lower() in ALWAYS_TAKEN


class Batv(StrEnum):
    """Tags on our senders, by which bounces are known to be ours. sign: tag them. enforce: refuse others, too."""

    OFF = "off"
    SIGN = "sign"
    ENFORCE = "enforce"


class RouteChoice(Table):
    """One of several routes. Those of the lowest priority are tried first, and share by weight; the next ones serve
    while none of these can be reached.
    """

    to: RouteText
    priority: int = Field(1, ge=0, le=1000)
    weight: int = Field(1, ge=1, le=1000)


def _choices(value: object) -> object:
    """Read a list of routes: a text without a table is tried when those before it cannot be reached."""
    if not isinstance(value, list):
        return value
    return [{"to": one, "priority": place} if isinstance(one, str) else one for place, one in enumerate(value, 1)]


def _has_domain(target: str) -> bool:
    return "@" in target and not target.endswith('"')


def _target(text: str) -> str:
    try:
        return str(parse_address(text)) if _has_domain(text) else parse_local_part(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


def _as_address(target: str) -> Address:
    return parse_address(target) if _has_domain(target) else Address(target, "")


def _alias(text: str) -> str:
    if "*" in text:
        raise ValueError(f"{text!r}: an alias is a local part, without `*`; catch_all gets what is not listed")
    try:
        return parse_local_part(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


# A local part of the same domain, or an address.
AliasTarget = Annotated[str, AfterValidator(_target)]
AliasName = Annotated[str, AfterValidator(_alias)]
AliasTargets = Annotated[list[AliasTarget], BeforeValidator(_listed), Field(min_length=1, max_length=1000)]


class DomainRules(Table):
    """One of our domains. recipients: local parts and patterns with `*`; or "any"; or "verified": delivery asks the
    route (a Maildir takes anyone); or "ldap": the directory of edge's settings. `postmaster` and `abuse` are always
    taken.

    route: where its mail goes (shared/routes.py): one, or a list in the order in which they are tried. group: of
    `groups`, whose keys hold where this table has none. same_as: another domain of ours, whose recipients these are,
    too: their mail goes to the address there, unless this table has a route of its own; the other's keys hold where
    this table has none. aliases: local parts, without `*`, each with the local parts or addresses that get its mail
    instead; one that gets it, too, names itself among them. What they name need not be listed. catch_all: who gets the
    mail of all that are not listed. subaddress: the sign (`+`) behind which a local part of ours may have more,
    `anna+news`; it goes on as it stands, but not into a Maildir, nor past an alias. size_bytes: of messages to this
    domain, below the listener's own; one that is too large for one of its recipients is refused for all.
    batv: tags on the senders of this domain, for which all its mail must leave through this gateway where bounces
    without one are refused; it needs `rewriting_secrets` in the settings of edge and delivery, and bounces are taken
    for `forwarding.bounces_s`. greylisting: false leaves the domain out. checks: what differs from the global `checks`
    for mail to this domain, key by key; outbound: from the global `outbound`, for mail from it. quarantine_digest: what
    differs from the global one for its recipients.
    """

    route: RouteText | Annotated[list[RouteChoice], BeforeValidator(_choices), Field(min_length=1, max_length=20)]
    recipients: list[LocalPart] | Literal["any", "verified", "ldap"] = Field(
        json_schema_extra={"standard": "RFC 5321 §4.5.1"}
    )
    group: str | None = None
    same_as: Domain | None = None
    aliases: dict[AliasName, AliasTargets] = Field({}, max_length=100_000)
    catch_all: AliasTarget | None = None
    subaddress: str = Field("", max_length=1, pattern=r"^[+\-_=#.]?$", json_schema_extra={"standard": "RFC 5233"})
    size_bytes: int | None = Field(None, ge=65_536)
    batv: Batv = Batv.OFF
    greylisting: bool = True
    checks: Checks = Checks()
    outbound: Checks = Checks()
    quarantine_digest: QuarantineDigestRules = QuarantineDigestRules()

    @model_validator(mode="after")
    def _catches_something(self) -> "DomainRules":
        if self.catch_all is not None and not isinstance(self.recipients, list):
            raise ValueError(f'catch_all has no effect: recipients = "{self.recipients}" leaves nobody for it')
        return self

    @model_validator(mode="after")
    def _no_alias_twice(self) -> "DomainRules":
        names: dict[str, str] = {}
        for name in self.aliases:
            if (other := names.setdefault(canonical_local_part(name).lower(), name)) != name:
                raise ValueError(f"aliases {other!r} and {name!r} are the same local part")
        return self

    @model_validator(mode="after")
    def _routes_differ(self) -> "DomainRules":
        routes = [parse_route(choice.to) for choice in self.routes]
        if twice := next((one for one in routes if routes.count(one) > 1), None):
            raise ValueError(f"route: {twice} stands there twice")
        priorities = [choice.priority for choice in self.routes]
        for choice in self.routes:
            if "weight" in choice.model_fields_set and priorities.count(choice.priority) == 1:
                raise ValueError(
                    f"route: the weight of {choice.to} has no effect: no other has priority {choice.priority}"
                )
        return self

    @property
    def routes(self) -> tuple[RouteChoice, ...]:
        """The routes, in the order of their priorities."""
        if isinstance(self.route, str):
            return (RouteChoice(to=self.route),)
        return tuple(sorted(self.route, key=lambda choice: choice.priority))

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(canonical_local_part(name).lower() for name in self.recipients if "*" not in name)

    @cached_property
    def _patterns(self) -> tuple[str, ...]:
        return tuple(name for name in self.recipients if "*" in name) if isinstance(self.recipients, list) else ()

    @cached_property
    def _targets(self) -> Mapping[str, tuple[Address, ...]]:
        return {
            canonical_local_part(name).lower(): tuple(map(_as_address, targets))
            for name, targets in self.aliases.items()
        }

    @cached_property
    def caught_by(self) -> Address | None:
        """Who gets the mail of all that are not listed; without a domain where it is this one."""
        return None if self.catch_all is None else _as_address(self.catch_all)

    @cached_property
    def target_domains(self) -> frozenset[str]:
        """The domains that aliases and the catch-all name; empty text for this one."""
        targets = [target.domain for found in self._targets.values() for target in found]
        return frozenset(targets if self.caught_by is None else [*targets, self.caught_by.domain])

    @cached_property
    def into_maildir(self) -> bool:
        """Whether its mail ends in Maildirs, of which one is each local part's."""
        return parse_route(self.routes[0].to).kind is RouteKind.MAILDIR

    def alias(self, local_part: str) -> tuple[Address, ...]:
        """Return those who get an alias's mail, without a domain where it is this one; none if it is no alias."""
        return self._targets.get(canonical_local_part(local_part).lower(), ()) if self.aliases else ()

    def without_subaddress(self, local_part: str) -> str | None:
        """Return a local part without what stands behind the sign, or None if nothing does."""
        if not self.subaddress or self.subaddress not in local_part:
            return None
        text = canonical_local_part(local_part)
        quote = '"' if text.startswith('"') else ""
        base, sign, _ = text[len(quote) :].partition(self.subaddress)
        try:
            return canonical_local_part(parse_local_part(f"{quote}{base}{quote}")) if sign else None
        except AddressError:
            return None

    @property
    def asks(self) -> bool:
        """Whether somebody else knows who is a recipient here."""
        return self.recipients in ("verified", "ldap")

    def names(self, local_part: str) -> bool:
        """Whether a local part is listed by itself, and not by a pattern only."""
        return isinstance(self.recipients, list) and canonical_local_part(local_part).lower() in self._listed

    def takes(self, local_part: str) -> bool:
        """Whether a local part is a recipient by this document, compared without quotes and case, as servers do."""
        name = canonical_local_part(local_part).lower()
        if self.recipients == "any" or name in ALWAYS_TAKEN:
            return True
        if not isinstance(self.recipients, list):
            return False
        return name in self._listed or any(matches_local_part(pattern, name) for pattern in self._patterns)
