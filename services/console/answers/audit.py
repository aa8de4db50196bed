"""Entries of the audit (PURE)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when, from where. address: empty on the console's own host. via: browser, token or host."""

    id: str
    at: float
    who: str
    action: str
    target: str
    details: dict[str, object]
    address: str
    via: str
