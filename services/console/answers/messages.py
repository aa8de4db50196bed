"""Messages and refused sessions, as a search and a story tell of them (PURE)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """One message or refused session. not_shown: how many of its recipients are not of the caller's domains.

    parent: the message that it is a part of, or reports on.
    """

    id: str
    first_seen: float
    last_seen: float
    listener: str | None
    client: str | None
    sender: str | None
    recipients: str | None
    not_shown: int
    subject: str | None
    size_bytes: int | None
    verdict: str | None
    state: str | None
    parent: str | None


@dataclass(frozen=True, slots=True)
class Member:
    """Where one id of a family stands. parent: what it is a part of, or reports on; None for the first."""

    id: str
    parent: str | None
    state: str | None
    recipients: str | None
    hop: str | None
