"""A policy as it travels on the stream `gatepost.policy`, and which of the stream's entries is in force (PURE).

Owns: `PolicyEntry`: the document's text, byte for byte with its comments, and who made it the active one, when and why;
`in_force`, by which every stage, the console and the command tell what holds at a time.
On failure: ValueError naming what is wrong; an entry that cannot be read never replaces the one in force.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter

from shared.errors import SettingsError
from shared.policy import Policy, parse_policy


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """One version. at: Unix seconds. confirm_by: Unix seconds at which every stage goes back by itself, or None."""

    version: int
    author: str
    reason: str
    at: float
    text: str
    confirm_by: float | None = None

    def policy(self) -> Policy:
        """Return the checked policy. Raises PolicyError."""
        return parse_policy(self.text)

    def is_over(self, now: float) -> bool:
        """Whether it waited for a confirmation that did not come."""
        return self.confirm_by is not None and self.confirm_by <= now


_ENTRY = TypeAdapter(PolicyEntry)


def encode_policy(entry: PolicyEntry) -> bytes:
    """Return the stream entry."""
    return _ENTRY.dump_json(entry)


def decode_policy(body: bytes) -> PolicyEntry:
    """Return the entry of a stream message. Raises ValueError."""
    return _ENTRY.validate_json(body)


def is_usable(entry: PolicyEntry) -> bool:
    """Whether a stage would take an entry at all."""
    if entry.version < 1:
        return False
    try:
        entry.policy()
    except SettingsError:
        return False
    return True


def in_force(
    entries: Iterable[PolicyEntry], now: float, usable: Callable[[PolicyEntry], bool] = is_usable
) -> PolicyEntry | None:
    """Return the entry that holds at a time: of those that can be used, the highest version that is not over.

    It depends on the entries and the time alone, so that a stage that was down takes what the others have. Where every
    one is over there is nothing to go back to, and the highest stays: mail without a policy would stop.
    usable: for who has checked the documents already.
    """
    falling_back: PolicyEntry | None = None
    for entry in sorted(entries, key=lambda entry: entry.version, reverse=True):
        if entry.is_over(now):
            if falling_back is None and usable(entry):
                falling_back = entry
        elif usable(entry):
            return entry
    return falling_back
