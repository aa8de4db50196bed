"""The policy and its versions, as actions tell of them (PURE)."""

from dataclasses import dataclass

from services.console.versions import Standing
from shared.policy_entry import PolicyEntry


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done. diff: unified, against the one in force before. entry: the one in force now.

    notes: what whoever applied it should know.
    """

    entry: PolicyEntry
    diff: str
    is_new: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """A version in the history, without its text. standing: what became of it."""

    version: int
    author: str
    reason: str
    at: float
    confirm_by: float | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Versions:
    """A page of the history. next: the cursor of what is behind it. problem: why it is not known what is in force."""

    items: list[Version]
    next: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Diff:
    """A unified diff of two versions."""

    diff: str
