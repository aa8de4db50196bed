"""A policy as it travels on the stream `gatepost.policy` (PURE).

Owns: `PolicyEntry`: the document's text, byte for byte with its comments, and who made it the active one, when and why.
On failure: ValueError naming what is wrong; an entry that cannot be read never replaces the one in force.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter

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


_ENTRY = TypeAdapter(PolicyEntry)


def encode_policy(entry: PolicyEntry) -> bytes:
    """Return the stream entry."""
    return _ENTRY.dump_json(entry)


def decode_policy(body: bytes) -> PolicyEntry:
    """Return the entry of a stream message. Raises ValueError."""
    return _ENTRY.validate_json(body)
