"""Quarantined copies, as actions tell of them (PURE)."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Account:
    """Why a copy is held. why: sentences. known: what stands in its envelope. rules: those that object to it."""

    why: tuple[str, ...]
    known: tuple[str, ...]
    rules: tuple[str, ...]
    examined: bool
    proved: bool


class Class(StrEnum):
    """What a mail is. The values are the engines' own words."""

    HAM = "ham"
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Item:
    """A quarantined copy without its message."""

    id: str
    part: str
    state: str
    reason: str
    check: str
    evidence: str
    sender: str | None
    recipients: str | None
    subject: str | None
    size_bytes: int
    received_at: float
    state_at: float


@dataclass(frozen=True, slots=True)
class Told:
    """A copy, and why it is held."""

    item: Item
    account: Account


@dataclass(frozen=True, slots=True)
class Gone:
    """What was released. rules: what it was let past."""

    id: str
    recipients: list[str]
    rules: list[str]
