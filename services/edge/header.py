"""What edge reads from a message's header (PURE).

Output: `HeaderFacts`: how many `Received:` fields there are, the marks of our own trace fields, and subject and
Message-ID for the trace of an id. Nothing is parsed beyond that, and only the first `SCAN_BYTES` are looked at: trace
fields stand on top.
`Authors`, for those who ask: the fields that say who wrote and sent it.
On failure: none; what is not there is empty.
"""

import re
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header

from services.edge.trace import MARK_CHARS, SEEN_FIELD

SCAN_BYTES = 262_144
# Each is compared with each recipient; a message that was here more often has too many Received fields, too.
_FIELDS_LIMIT = 32
_TEXT_LIMIT = 250
_AUTHORS_LIMIT = 10
# RFC 5322 §4.5: white space before the colon is obsolete, and read by mail programs all the same.
_AUTHOR = re.compile(rb"\r\n(from|sender)[ \t]*:", re.IGNORECASE)
_SEEN = f"\r\n{SEEN_FIELD.lower()}:".encode("ascii")


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What was found. seen: id and marks of each of our trace fields."""

    received: int
    seen: tuple[tuple[str, frozenset[str]], ...]
    subject: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Authors:
    """The values of all From and Sender fields, as they stand."""

    written_by: tuple[bytes, ...]
    sent_by: tuple[bytes, ...] = ()


def read_header(octets: bytes | bytearray, start: int) -> HeaderFacts:
    """Return the facts of the message that begins at an offset."""
    end = octets.find(b"\r\n\r\n", start, start + SCAN_BYTES)
    header = b"\r\n" + bytes(octets[start : end if end >= 0 else start + SCAN_BYTES])
    if header.startswith(b"\r\n\r\n"):
        header = b""
    lower = header.lower()
    return HeaderFacts(
        received=lower.count(b"\r\nreceived:"),
        seen=_seen(header, lower),
        subject=_words(_value(header, lower, b"\r\nsubject:")),
        message_id=_value(header, lower, b"\r\nmessage-id:").decode("utf-8", "replace")[:_TEXT_LIMIT],
    )


def read_authors(octets: bytes | bytearray, start: int) -> Authors | None:
    """Return who wrote and who sent the message that begins at an offset; None where that cannot be known for sure."""
    if octets.startswith(b"\r\n", start):
        return None
    end = octets.find(b"\r\n\r\n", start, start + SCAN_BYTES)
    if end < 0:
        # It has no body, or a header longer than anybody should have to read.
        end = len(octets) if len(octets) - start <= SCAN_BYTES else start
    header = b"\r\n" + bytes(octets[start:end])
    found: dict[bytes, list[bytes]] = {b"from": [], b"sender": []}
    for count, field in enumerate(_AUTHOR.finditer(header)):
        if count >= _AUTHORS_LIMIT:
            return None
        found[field[1].lower()].append(_field(header, field.end()))
    return Authors(tuple(found[b"from"]), tuple(found[b"sender"])) if found[b"from"] else None


def _seen(header: bytes, lower: bytes) -> tuple[tuple[str, frozenset[str]], ...]:
    found: list[tuple[str, frozenset[str]]] = []
    at = lower.find(_SEEN)
    while at >= 0 and len(found) < _FIELDS_LIMIT:
        message_id, *marks = _field(header, at + len(_SEEN)).decode("ascii", "replace").split() or [""]
        found.append((message_id, frozenset(mark for mark in marks if len(mark) == MARK_CHARS)))
        at = lower.find(_SEEN, at + len(_SEEN))
    return tuple(found)


def _value(header: bytes, lower: bytes, name: bytes) -> bytes:
    at = lower.find(name)
    return b"" if at < 0 else b" ".join(_field(header[: at + len(name) + 4 * _TEXT_LIMIT], at + len(name)).split())


def _field(header: bytes, start: int) -> bytes:
    """Return a field's body. RFC 5322 §2.2.3: a line that begins with white space goes on with the one before."""
    end = header.find(b"\r\n", start)
    while end >= 0 and header[end + 2 : end + 3] in (b" ", b"\t"):
        end = header.find(b"\r\n", end + 2)
    return header[start : end if end >= 0 else len(header)]


def _words(value: bytes) -> str:
    text = value.decode("utf-8", "replace")[: 2 * _TEXT_LIMIT]
    if "=?" in text:
        # RFC 2047: for people to read; what cannot be decoded stands as it came.
        try:
            text = str(make_header(decode_header(text)))
        except (MessageError, LookupError, ValueError):
            pass
    return text.encode("utf-8", "replace").decode("utf-8")[:_TEXT_LIMIT]
