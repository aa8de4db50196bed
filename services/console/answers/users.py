"""Users of the console, as actions tell of them (PURE)."""

from dataclasses import dataclass

from services.console.identity.rights import Role


@dataclass(frozen=True, slots=True)
class User:
    """A user as a list shows it. domains: None for all. invited: has not set a password yet.

    recovery_codes: how many are left.
    """

    name: str
    role: Role
    domains: list[str] | None
    disabled: bool
    invited: bool
    totp: bool
    passkeys: int
    recovery_codes: int
    sessions: int
    tokens: int
    made_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class Invited:
    """A link, shown once, by which a user sets a password until a time."""

    name: str
    link: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that is logged in. id: names it. since: the last proof of who its user is."""

    id: str
    user: str
    address: str
    agent: str
    since: float
    seen_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How many sessions were ended."""

    ended: int
