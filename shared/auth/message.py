"""Owns the split of a message into header fields and body, and the bounds of that split. PURE.

Input: the message bytes as they came over SMTP (CRLF line ends). Output: a Message; its body is cut off, never split
into lines. Standards: RFC 5322 §2.1, §2.2, §4.5.
On failure: never raises. What is not a proper header is named in `fault`; the fields that could be read are kept.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

MAX_HEADER_BYTES = 262_144
MAX_FIELDS = 2_000

# RFC 5322 §2.2.3: a line end before white space folds the field, any other ends it.
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
# RFC 5322 §4.5: obsolete fields may have white space before the colon; a mail client takes "From : x" for a From.
_FIELD_NAME = re.compile(rb"[!-9;-~]+[ \t]*")

# RFC 5322 §4.5 allows to fold onto a line of white space alone; some clients take it for the end of the header.
BLANK_LINE = re.compile(rb"\r\n[ \t]+(?:\r\n|\Z)")


class Field(NamedTuple):
    """One header field: key for comparing (lower case), name and value as written, without colon and last CRLF."""

    key: bytes
    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A message's fields in order, its body, and what is wrong with its header (empty when nothing is).

    bounds_exceeded: whether the fault is its size, so that part of it was not read.
    stray: the header from its first line on that is no field, or from behind one of spaces alone: to clients that end
    the header there, the body begins with it. Empty if there is no such line.
    """

    fields: tuple[Field, ...]
    body: bytes
    fault: str = ""
    bounds_exceeded: bool = False
    stray: bytes = b""

    def values(self, key: bytes) -> list[bytes]:
        """Return the raw values of all fields of that name (lower case), topmost first."""
        return [field.value for field in self.fields if field.key == key]


def split_message(message: bytes) -> Message:
    """Split the message at the end of its header. Reads no further than MAX_HEADER_BYTES into it."""
    if message.startswith(b"\r\n"):
        return Message((), message[2:])
    end = message.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    if end >= 0:
        return _with_fields(message[:end], message[end + 4 :])
    if len(message) > MAX_HEADER_BYTES:
        fields = _with_fields(message[:MAX_HEADER_BYTES], b"").fields
        return Message(fields, b"", f"the header is longer than {MAX_HEADER_BYTES} bytes", bounds_exceeded=True)
    return _with_fields(message.removesuffix(b"\r\n"), b"")


def _with_fields(header: bytes, body: bytes) -> Message:
    lines = _FIELD_END.split(header, MAX_FIELDS)
    too_many = len(lines) > MAX_FIELDS
    fault = f"the header has more than {MAX_FIELDS} fields" if too_many else ""
    fields = []
    place = 0
    blank = BLANK_LINE.search(header)
    stray = blank.end() if blank else len(header)
    for line in lines[:MAX_FIELDS]:
        name, colon, value = line.partition(b":")
        if colon and _FIELD_NAME.fullmatch(name):
            fields.append(Field(name.rstrip(b" \t").lower(), name, value))
        else:
            fault = fault or f"line {len(fields) + 1} of the header is not a field"
            stray = min(stray, place)
        place += len(line) + 2
    return Message(tuple(fields), body, fault, too_many, header[stray:])
