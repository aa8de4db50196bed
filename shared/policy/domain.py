"""One of our domains (PURE): who is a recipient there, and where its mail goes."""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from shared.address import AddressError, canonical_local_part, parse_address, parse_local_part
from shared.policy.checks import Checks
from shared.policy.patterns import matches_local_part
from shared.policy.table import Domain, LocalPart, RouteText, Table

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


def _target(text: str) -> str:
    try:
        return str(parse_address(text)) if "@" in text and not text.startswith('"') else parse_local_part(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


# A local part of the same domain, or an address.
AliasTarget = Annotated[str, AfterValidator(_target)]
AliasTargets = Annotated[list[AliasTarget], BeforeValidator(_listed), Field(min_length=1, max_length=1000)]


class DomainRules(Table):
    """One of our domains. recipients: local parts and patterns with `*`; or "any"; or "verified": delivery asks the
    route (a Maildir takes anyone); or "ldap": the directory of edge's settings. `postmaster` and `abuse` are always
    taken.

    route: where its mail goes (shared/routes.py): one, or a list in the order in which they are tried. group: of
    `groups`, whose keys hold where this table has none. same_as: another domain of ours, whose recipients these are,
    too; its keys hold where this table has none. aliases: local parts, each with the local parts or addresses that get
    its mail instead. catch_all: who gets the mail of all that are not listed. subaddress: the sign (`+`) behind which a
    local part of ours may have more, `anna+news`. size_bytes: of messages to this domain, below the listener's own.
    batv: tags on the senders of this domain. greylisting: false leaves the domain out. checks: what differs from
    the global `checks` for mail to this domain, key by key; outbound: from the global `outbound`, for mail from it.
    """

    route: RouteText | Annotated[list[RouteChoice], BeforeValidator(_choices), Field(min_length=1, max_length=20)]
    recipients: list[LocalPart] | Literal["any", "verified", "ldap"] = Field(
        json_schema_extra={"standard": "RFC 5321 §4.5.1"}
    )
    group: str | None = None
    same_as: Domain | None = None
    aliases: dict[LocalPart, AliasTargets] = Field({}, max_length=100_000)
    catch_all: AliasTarget | None = None
    subaddress: str = Field("", max_length=1, pattern=r"^[+\-_=#.]?$", json_schema_extra={"standard": "RFC 5233"})
    size_bytes: int | None = Field(None, ge=65_536)
    batv: Batv = Batv.OFF
    greylisting: bool = True
    checks: Checks = Checks()
    outbound: Checks = Checks()

    @model_validator(mode="after")
    def _catches_something(self) -> "DomainRules":
        if self.catch_all is not None and not isinstance(self.recipients, list):
            raise ValueError(f'catch_all has no effect: recipients = "{self.recipients}" leaves nobody for it')
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
