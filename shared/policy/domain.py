"""One of our domains (PURE): who is a recipient there, and where its mail goes."""

from functools import cached_property
from typing import Literal

from pydantic import Field

from shared.address import canonical_local_part
from shared.policy.checks import Checks
from shared.policy.patterns import matches_local_part
from shared.policy.table import LocalPart, RouteText, Table

# RFC 5321 §4.5.1, RFC 2142 §2: taken by every domain, whatever its list says.
ALWAYS_TAKEN = frozenset({"postmaster", "abuse"})


def is_always_taken(local_part: str) -> bool:
    """Whether a local part is taken in every domain of ours, past lists and greylisting."""
    return canonical_local_part(local_part).lower() in ALWAYS_TAKEN


class DomainRules(Table):
    """One of our domains. recipients: local parts and patterns with `*`; or "any"; or "verified": delivery asks the
    route (a Maildir takes anyone); or "ldap": the directory of edge's settings. `postmaster` and `abuse` are always
    taken.

    route: where its mail goes (shared/routes.py). greylisting: false leaves the domain out. checks: what differs from
    the global `checks` for mail to this domain, key by key; outbound: from the global `outbound`, for mail from it.
    """

    route: RouteText
    recipients: list[LocalPart] | Literal["any", "verified", "ldap"] = Field(
        json_schema_extra={"standard": "RFC 5321 §4.5.1"}
    )
    greylisting: bool = True
    checks: Checks = Checks()
    outbound: Checks = Checks()

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
