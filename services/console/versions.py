"""What became of each version of the policy (PURE).

Owns: `Standing`, the word for it in the history; `difference` of two documents.
"""

import difflib
from enum import StrEnum

from shared.policy_entry import PolicyEntry


class Standing(StrEnum):
    """What became of a version. waits: in force, and goes back by itself unless somebody confirms it in time.

    confirmed: the next version is the same without a time. taken-back: somebody put another one in its place meanwhile.
    """

    IN_FORCE = "in force"
    WAITS = "waits for confirmation"
    CONFIRMED = "confirmed"
    TAKEN_BACK = "taken back"
    WENT_BACK = "went back"
    EARLIER = "earlier"


def standing(entry: PolicyEntry, following: PolicyEntry | None, held: int | None, now: float) -> Standing:
    """Return what became of a version. following: the next one. held: the version in force, None if unknown."""
    if entry.version == held:
        # One that is over and holds all the same has nothing to go back to.
        return Standing.IN_FORCE if entry.confirm_by is None or entry.is_over(now) else Standing.WAITS
    if entry.confirm_by is None:
        return Standing.EARLIER
    if following is not None and following.at < entry.confirm_by:
        return Standing.CONFIRMED if following.text == entry.text else Standing.TAKEN_BACK
    return Standing.WENT_BACK if entry.is_over(now) else Standing.EARLIER


def before_waiting(entries: list[PolicyEntry]) -> list[PolicyEntry]:
    """Return what there is to go back to: the versions that nobody need confirm."""
    return [entry for entry in entries if entry.confirm_by is None]


def difference(before: PolicyEntry | None, after: PolicyEntry) -> str:
    """Return the unified diff of two versions' documents."""
    name = f"version {before.version}" if before else "nothing"
    return difference_of(before.text if before else "", after.text, name, f"version {after.version}")


def difference_of(old: str, new: str, old_name: str, new_name: str) -> str:
    """Return the unified diff of two documents."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="")
    return "".join(f"{line}\n" for line in lines)
