"""A look at a message's bytes before any parser runs (PURE): what is beyond all bounds, and what is heavy or odd.

Output: `Caps`. It counts with the speed of C, in time linear in the message, and splits nothing.
What is `beyond` is never parsed. What is `heavy` is examined in a process that can be killed.
"""

import re
from dataclasses import dataclass
from itertools import islice

from services.content.mime.fields import header_of
from services.content.mime.tree import MAX_PARTS
from shared.auth.message import Message

HEAVY_BYTES = 500_000
_HEAVY_PARTS = 50
_HEAVY_LINE_BYTES = 100_000
_HEAVY_FIELD_BYTES = 8_192
_HEAVY_PARAMETERS = 100
_HEAVY_WORDS = 1_000
_HEAVY_BLOCKS = 20
_BEGIN = re.compile(rb"\nbegin")


@dataclass(frozen=True, slots=True)
class Caps:
    """What was counted. parts: lines that may begin parts. parameters: such as RFC 2231 splits. words: encoded ones, in
    the header.

    beyond: why the message is refused unread, a clause safe to show. heavy: whether a process of its own examines it.
    """

    size_bytes: int
    header_bytes: int
    longest_field_bytes: int
    parts: int
    parameters: int
    words: int
    zeros: bool
    long_line: bool
    beyond: str = ""
    heavy: bool = False


def scan_caps(data: bytes, message: Message) -> Caps:
    """Return what a scan of the bytes says. message: the same, split."""
    body = message.body
    header_bytes = len(data) - len(body)
    longest = 0
    if header_bytes > _HEAVY_FIELD_BYTES:
        longest = max((len(field.value) for field in message.fields), default=header_bytes)
    # What is no multipart and holds no message has no parts, whatever its lines begin with.
    parts = data.count(b"\n--") if _may_hold_parts(message) else 0
    # A search for one octet costs next to nothing, and base64 has no asterisk.
    parameters = data.count(b"*=") if b"*" in data else 0
    words = data.count(b"=?", 0, header_bytes)
    zeros = b"\0" in data
    long_line = len(data) > _HEAVY_LINE_BYTES and _has_line_over(data, _HEAVY_LINE_BYTES)
    heavy = (
        len(data) > HEAVY_BYTES
        or parts > _HEAVY_PARTS
        or longest > _HEAVY_FIELD_BYTES
        or parameters > _HEAVY_PARAMETERS
        or words > _HEAVY_WORDS
        or zeros
        or long_line
        or bool(message.fault)
        or (b"=" in body and b"=ybegin " in body)
        or (b"H" in body and b"with BinHex" in body)
        or (_BEGIN.search(body) is not None and data.count(b"\nbegin") > _HEAVY_BLOCKS)
    )
    beyond = _too_many_parts(message) if parts > MAX_PARTS else ""
    return Caps(
        len(data), header_bytes, longest, parts, parameters, words, zeros, long_line, beyond=beyond, heavy=heavy
    )


def _may_hold_parts(message: Message) -> bool:
    types = [field.value.lower() for field in message.fields if field.key == b"content-type"]
    return bool(message.fault) or any(b"multipart" in kind or b"message" in kind for kind in types)


def _has_line_over(data: bytes, limit: int) -> bool:
    place = -1
    while len(data) - place > limit:
        # The last line end within reach; without one the line is too long.
        found = data.rfind(b"\n", place + 1, place + 1 + limit)
        if found < 0:
            return True
        place = found
    return False


def _too_many_parts(message: Message) -> str:
    """Lines that begin with two hyphens stand in texts, too: only the message's own boundary counts for sure."""
    header = header_of(message)
    for boundary in header.boundaries if header.multipart else ():
        line = re.compile(rb"\n--" + re.escape(boundary) + rb"[ \t]*+(?=\r?\n)")
        if len(list(islice(line.finditer(message.body), MAX_PARTS + 1))) > MAX_PARTS:
            return f"the message has more than {MAX_PARTS} parts"
    return ""
