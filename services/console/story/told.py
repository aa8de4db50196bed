"""What the story is told from, and in (PURE).

Owns: `Told` (an event as the database gives it back: its kind may be one that this version does not know), `Line`, and
reading facts. Facts hold text of strangers: everything that leaves here is escaped and bounded.
On failure: none; a fact that is missing or of another form reads as unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.logs import escape

Facts = Mapping[str, object]
UNKNOWN = "(unknown)"
_TEXT_LIMIT = 600
_LIST_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Told:
    """One event. at: Unix seconds."""

    id: str
    at: float
    stage: str
    host: str
    kind: str
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of a story. at: Unix seconds. detail: belongs to the line before it."""

    at: float
    stage: str
    id: str
    text: str
    detail: bool = False


def show(value: object, default: str = UNKNOWN) -> str:
    """Return any fact as bounded text on one line, without control or bidi characters."""
    if value is None or value == "":
        return default
    text = escape(value if isinstance(value, str) else str(value))
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + " …"


def word(facts: Facts, name: str, default: str = UNKNOWN) -> str:
    """Return a fact as text."""
    return show(facts.get(name), default)


def clause(facts: Facts, name: str, default: str = UNKNOWN) -> str:
    """Return a fact as text that a sentence can go on after, or end with a full stop of its own."""
    return word(facts, name, default).rstrip(". ")


def words(facts: Facts, name: str) -> str:
    """Return a fact that is a list as text with commas; also where it is a single word."""
    value = facts.get(name)
    if not isinstance(value, list | tuple):
        return show(value)
    shown = ", ".join(show(item) for item in value[:_LIST_LIMIT])
    more = f" and {len(value) - _LIST_LIMIT} more" if len(value) > _LIST_LIMIT else ""
    return (shown or "nobody") + more


def tables(facts: Facts, name: str) -> list[Facts]:
    """Return the tables of a fact that is a list of tables."""
    value = facts.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def number(facts: Facts, name: str) -> float | None:
    """Return a fact that is a number, or None."""
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def sender_of(facts: Facts) -> str:
    """Return the envelope sender; the null reverse-path has no text of its own."""
    return (
        "<> (no return address: a report or an automatic answer)"
        if facts.get("sender") == ""
        else word(facts, "sender")
    )


def client_of(facts: Facts) -> str:
    """Return who connected: an address, or a table with address and name."""
    client = facts.get("client")
    if isinstance(client, Mapping):
        name = client.get("name")
        return show(client.get("address")) + (f" ({show(name)})" if name else "")
    return show(client)


def moment(at: float | None) -> str:
    """Return a time for people, UTC."""
    if at is None:
        return UNKNOWN
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return UNKNOWN


def span(seconds: float | None) -> str:
    """Return a length of time for people."""
    if seconds is None:
        return UNKNOWN
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(octets: float | None) -> str:
    """Return a size for people."""
    if octets is None:
        return "of unknown size"
    if octets < 10_000:
        return f"of {octets:.0f} octets"
    return f"of {octets / 1000:.0f} kB" if octets < 1_000_000 else f"of {octets / 1_000_000:.1f} MB"
