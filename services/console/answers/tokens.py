"""Tokens of the API, as actions tell of them (PURE)."""

from dataclasses import dataclass

from services.console.identity.rights import Role

LONGEST_DAYS = 365


@dataclass(frozen=True, slots=True)
class Token:
    """A token as a list shows it. domains: None for all of its user's. used_at, used_from: last."""

    id: str
    user: str
    label: str
    role: Role
    domains: list[str] | None
    made_at: float
    ends_at: float
    used_at: float | None
    used_from: str | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token, with the text that programs show: nobody sees it again."""

    id: str
    token: str
    ends_at: float
