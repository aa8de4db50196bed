"""Pages of long lists (PURE): a cursor names the last row that was shown, so that none is missed or shown twice.

Owns: the cursor's text form: opaque to whoever passes it back.
On failure: ActionError for text that is no cursor.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.console.actions.errors import ActionError

Item = TypeVar("Item")
LIMIT = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Rows of a list. next: the cursor of those behind them, None at the end."""

    items: list[Item]
    next: str | None = None


def encode_cursor(*key: float | str) -> str:
    """Return the cursor behind a row, given what it is ordered by."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decode_cursor(text: str) -> tuple[float, str]:
    """Return time and id of the last row shown. Raises ActionError."""
    try:
        at, name = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return float(at), str(name)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise ActionError("that is no cursor of ours: begin at the first page") from None
