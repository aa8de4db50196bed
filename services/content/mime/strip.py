"""Taking parts out of a message (PURE): a notice stands where each of them was, and every other byte stays.

Standards: RFC 2045, RFC 2046 §5.1. The parts are found by the same walk that numbered them.
On failure: ValueError for a number that the message does not have; nothing is left in by accident.
"""

import base64
from collections.abc import Sequence

from services.content.mime.fields import header_of
from services.content.mime.tree import Count, Part, read_tree
from shared.auth.message import Field, split_message

# The header fields that say what a body is (RFC 2045 §3, RFC 2183); the notice brings its own.
_ABOUT_THE_BODY = b"content-"


def strip_parts(data: bytes, numbers: Sequence[str], notice: str) -> bytes:
    """Return the message without those parts. notice: what stands there instead; any text, of any length of lines.

    Raises ValueError if a part is not there.
    """
    message = split_message(data)
    header = header_of(message)
    tree = read_tree(message.body, header, Count())
    # An attached message and the multipart that is its content have one number: the outer one is meant.
    places: dict[str, Part] = {}
    for part in tree.parts:
        places.setdefault(part.number, part)
    missing = [number for number in numbers if not number or number not in places]
    if missing:
        raise ValueError(f"the message has no part {missing[0]!r}")
    body = _notice_body(notice)
    if not header.multipart and "1" in numbers:
        return _without_body(message.fields, body)
    before = data[: len(data) - len(message.body)]
    return before + _replaced(message.body, [places[number] for number in numbers], body)


def _replaced(body: bytes, parts: list[Part], notice: bytes) -> bytes:
    pieces = []
    place = 0
    for part in sorted(parts, key=lambda part: (part.start, -part.end)):
        if part.start < place:
            continue  # within one that is taken out already
        pieces.append(body[place : part.start])
        if part.start == len(body) and not body.endswith(b"\n"):
            # A boundary that is the last line, and has no end.
            pieces.append(b"\r\n")
        pieces += [_notice_header(), notice]
        if part.end < len(body) and not body.startswith(b"\r\n", part.end):
            pieces.append(b"\r\n")
        place = part.end
    return b"".join([*pieces, body[place:]])


def _without_body(fields: Sequence[Field], notice: bytes) -> bytes:
    """The message is the attachment: it keeps its header but for what says what its body is."""
    kept = [field.name + b":" + field.value + b"\r\n" for field in fields if not field.key.startswith(_ABOUT_THE_BODY)]
    if not any(field.key == b"mime-version" for field in fields):
        kept.append(b"MIME-Version: 1.0\r\n")
    return b"".join(kept) + _notice_header() + notice + b"\r\n"


def _notice_header() -> bytes:
    return (
        b'Content-Type: text/plain; charset="utf-8"\r\n'
        b"Content-Disposition: inline\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )


def _notice_body(notice: str) -> bytes:
    """As base64, so that no notice can hold a boundary, a line too long or an octet that a server must not pass on."""
    text = "\r\n".join(notice.splitlines()) + "\r\n"
    return base64.encodebytes(text.encode("utf-8", "replace")).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
