"""Who may do what in the console (PURE).

Owns: `Role`, `Right`, which role has which right, and `Caller`, who acts: a user in a browser, a token, or whoever may
read the settings on the console's own host.
A domain manager has rights within the caller's domains alone: what is not of a domain (hops, listeners, users) is
none of theirs, and what a domain's table says of routes is not either, for a route makes delivery connect to it.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.address import AddressError, parse_domain


class Role(StrEnum):
    """The roles, from the one that may do everything."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    DOMAIN_MANAGER = "domain-manager"
    VIEWER = "viewer"


class Right(StrEnum):
    """What can be allowed. The value stands in the API's description and in refusals."""

    # Counts, states, traces, what waits; no message's text.
    SEE = "see"
    # The text of quarantined mail.
    READ_MAIL = "read mail"
    # Release, learn, delete, what is in quarantine.
    QUARANTINE = "decide on quarantined mail"
    # Retry, bounce, cancel, reroute, suspend, resume.
    QUEUES = "order what waits"
    # Exempt a sender of released mail from the rule that held it.
    LET_THROUGH = "let senders through"
    # Recipients, aliases and the like of a domain.
    DOMAINS = "change domains"
    # SMTP logins.
    ACCOUNTS = "change accounts"
    # Bans, and the brake of accounts.
    BANS = "change bans"
    # The whole policy, DKIM keys.
    POLICY = "change the policy"
    AUDIT = "read the audit"
    # Users, tokens and sessions of others.
    USERS = "change users"


_EVERYTHING = frozenset(Right)
RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMINISTRATOR: _EVERYTHING,
    Role.OPERATOR: frozenset(
        {Right.SEE, Right.READ_MAIL, Right.QUARANTINE, Right.QUEUES, Right.ACCOUNTS, Right.BANS, Right.AUDIT}
    ),
    Role.DOMAIN_MANAGER: frozenset(
        {Right.SEE, Right.READ_MAIL, Right.QUARANTINE, Right.LET_THROUGH, Right.DOMAINS, Right.ACCOUNTS}
    ),
    Role.VIEWER: frozenset({Right.SEE}),
}


class Via(StrEnum):
    """How a caller came."""

    BROWSER = "browser"
    TOKEN = "token"
    # By the link in a report of quarantine: a recipient of ours, who has no log-in.
    DIGEST = "digest"
    # On the console's own host, by whoever may read its settings.
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts. name: as it stands in the audit. domains: None for all, else the only ones (lower case, A-labels).

    address: where from, empty on the console's own host. session: the session's or token's id, for the list of them.
    user: whose session or token it is, empty on the console's own host.
    """

    name: str
    role: Role
    domains: frozenset[str] | None = None
    via: Via = Via.HOST
    address: str = ""
    session: str = ""
    user: str = ""

    def may(self, right: Right) -> bool:
        """Whether the role has a right."""
        return right in RIGHTS[self.role]

    def covers(self, domain: str) -> bool:
        """Whether a domain, or the domain of an address, is one of the caller's."""
        if self.domains is None:
            return True
        try:
            return parse_domain(domain.rpartition("@")[2]) in self.domains
        except AddressError:
            return False

    @property
    def sees_all(self) -> bool:
        """Whether no domain bounds what the caller sees."""
        return self.domains is None


def on_this_host(name: str) -> Caller:
    """Return the caller who may read the console's settings, and so may do everything."""
    return Caller(name, Role.ADMINISTRATOR)


def within(role: Role, other: Role) -> bool:
    """Whether a role has no right that another lacks."""
    return RIGHTS[role] <= RIGHTS[other]


def contained(domains: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    """Whether domains (None: all) are none but the others."""
    return other is None or (domains is not None and domains <= other)
