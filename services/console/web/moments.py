"""Times as people type them (PURE): UTC, as everywhere in the console.

On failure: ActionError that shows the form.
"""

from datetime import UTC, datetime

from services.console.actions.errors import NotUnderstood

_FORMS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
)


def read_moment(text: str) -> float | None:
    """Return Unix seconds of a time, None for empty text. Raises NotUnderstood."""
    text = text.strip()
    if not text:
        return None
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            continue
    raise NotUnderstood("a time is written 2026-11-24 or 2026-11-24 10:30, in UTC")
