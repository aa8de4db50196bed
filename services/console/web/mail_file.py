"""A quarantined message as a file, and where a list of them goes on.

A browser must take the file for nothing but bytes: octet-stream, nosniff, a name without anything of the stranger's.
"""

import re

from fastapi import Response

from services.console.actions.desk import ActionError, Desk
from services.console.actions.quarantine import Behind, Held, note_taken
from services.console.web.cursor import decode_cursor

MAIL_FILE_TYPE = "application/octet-stream"
_ODD = re.compile(r"[^A-Za-z0-9._-]")


async def mail_file(desk: Desk, copy: Held) -> Response:
    """Return the bytes of a copy, after the audit has it who takes them. Raises ActionError."""
    if not copy.message:
        raise ActionError(f"{copy.id} was deleted: there is nothing to take")
    await note_taken(desk, copy)
    name = _ODD.sub("_", f"{copy.id}-{copy.part}.eml")
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(copy.message, media_type=MAIL_FILE_TYPE, headers=headers)


def place_of(cursor: str) -> Behind | None:
    """Return the row that a cursor names, None for the first page. Raises ActionError."""
    if not cursor:
        return None
    at, name = decode_cursor(cursor)
    message_id, _, part = name.rpartition("/")
    return at, message_id, part
