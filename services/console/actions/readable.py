"""A quarantined message for reading (PURE): header lines and the first text, bounded.

What comes out is still the stranger's: whoever shows it escapes it.
On failure: none; what Python's parser cannot take apart is shown as it is.
"""

import email
from dataclasses import dataclass
from email.message import Message

_HEADER_LINES = 200
_BODY_LINES = 200
_LINE_LIMIT = 500
# Python's parser recurses over nested parts and is slow on odd ones: beyond these bounds the bytes are shown as is.
_PARSED_BYTES = 262_144
_PARSED_PARTS = 50


@dataclass(frozen=True, slots=True)
class Readable:
    """note: what the body shown is."""

    header: tuple[str, ...]
    body: tuple[str, ...]
    note: str


def readable(message: bytes) -> Readable:
    """Return a message's header lines and its first text part."""
    head, _, body = message.partition(b"\r\n\r\n")
    header = _lines(head.decode("utf-8", "replace"), _HEADER_LINES)
    found = _first_text(message)
    if found is None:
        text, note = body[:_PARSED_BYTES].decode("utf-8", "replace"), f"the body as it is, {len(body)} octets"
    else:
        text, note = found, "the first text of the message; `show --raw` gives all of it"
    return Readable(header, _lines(text, _BODY_LINES), note)


def _first_text(message: bytes) -> str | None:
    if len(message) > _PARSED_BYTES or message.count(b"\n--") > _PARSED_PARTS:
        return None
    try:
        # The default policy is compat32, deliberately: the newer ones take seconds over hostile headers.
        parsed: Message[str, str] = email.message_from_bytes(message)
        part = next((part for part in parsed.walk() if part.get_content_type() == "text/plain"), None)
        content = part.get_payload(decode=True) if part is not None else None
        if part is None or not isinstance(content, bytes):
            return None
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError, RecursionError):
        return None


def _lines(text: str, limit: int) -> tuple[str, ...]:
    lines = text.replace("\r\n", "\n").split("\n")
    cut = [line if len(line) <= _LINE_LIMIT else line[:_LINE_LIMIT] + " …" for line in lines[:limit]]
    return (*cut, f"… {len(lines) - limit} more lines") if len(lines) > limit else tuple(cut)
