"""A message that is handed in: read from a request no further than it may be long."""

from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from services.console.actions.desk import NotUnderstood
from services.console.actions.trials import TooLarge
from shared.wire_trial import TRIAL_LIMIT_BYTES

# What FastAPI cannot know of an endpoint that reads the body by itself.
DESCRIBED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"The message, at most {TRIAL_LIMIT_BYTES} octets.",
        "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def message_of_body(request: Request) -> bytes:
    """Return the body of a request. Raises TooLarge as soon as it is."""
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > TRIAL_LIMIT_BYTES:
            raise TooLarge
    return bytes(found)


async def message_of_form(request: Request, name: str) -> bytes | None:
    """Return the file of a form's field, None where none was chosen. Raises TooLarge, NotUnderstood."""
    given = (await request.form()).get(name)
    if not isinstance(given, UploadFile) or not given.filename:
        return None
    if given.size is not None and given.size > TRIAL_LIMIT_BYTES:
        raise TooLarge
    found = await given.read(TRIAL_LIMIT_BYTES + 1)
    if not found.strip():
        raise NotUnderstood("the file is empty")
    if len(found) > TRIAL_LIMIT_BYTES:
        raise TooLarge
    return found
