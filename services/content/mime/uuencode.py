"""Uuencoded files within text (PURE).

Output: `Block`s, each with the file's name and content. Standards: IEEE 1003.1 uuencode, both forms (`begin`,
`begin-base64`); lines are read as leniently as mail clients read them. Time is linear in the text.
On failure: never raises. A line "begin 644 ..." that no encoded line follows is prose, and no block.
"""

import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_BLOCKS = 100
_BEGIN = re.compile(rb"^begin(-base64)?[ \t]++[0-7]{3,4}[ \t]++([^\r\n]{1,1000})", re.MULTILINE)


class Block(NamedTuple):
    """One file. name: as written. content: decoded."""

    name: bytes
    content: bytes


def uu_blocks(text: bytes) -> Iterator[Block]:
    """Return the uuencoded files in a text, at most MAX_BLOCKS."""
    if b"begin" not in text:
        return
    place = found = 0
    while found < MAX_BLOCKS and (match := _BEGIN.search(text, place)):
        decode = _base64_lines if match[1] else _lines
        content, place = decode(text, _next_line(text, match.end()))
        if content:
            found += 1
            yield Block(match[2].strip(), content)


def _next_line(text: bytes, place: int) -> int:
    end = text.find(b"\n", place)
    return end + 1 if end >= 0 else len(text)


def _lines(text: bytes, place: int) -> tuple[bytes, int]:
    """Decode lines up to the first that is none; return the content and where it ended."""
    content = []
    while place < len(text):
        after = _next_line(text, place)
        # An encoded line has at most 1 + 84 characters; some encoders add a checksum.
        line = text[place : min(after, place + 100)].rstrip(b"\r\n")
        if line == b"end" or not line or not 32 <= line[0] <= 96:
            break
        decoded = _line(line)
        if decoded is None:
            break
        content.append(decoded)
        place = after
    return b"".join(content), place


def _line(line: bytes) -> bytes | None:
    size = (line[0] - 32) & 63
    needed = (size + 2) // 3 * 4
    if len(line) > 1 + needed + 2 or (size and len(line) < 2):
        return None
    try:
        # Trailing spaces may have been cut off, and a checksum may follow.
        return binascii.a2b_uu(line[: 1 + needed])
    except binascii.Error:
        return None


_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{2,1000}={0,2}\Z")


def _base64_lines(text: bytes, place: int) -> tuple[bytes, int]:
    content = []
    while place < len(text):
        after = _next_line(text, place)
        line = text[place : min(after, place + 1010)].rstrip()
        if not _BASE64_LINE.match(line):
            break
        content.append(line)
        place = after
    letters = b"".join(content).partition(b"=")[0]
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4)), place
