"""The header fields of a part, read as far as a view needs them (PURE).

Standards: RFC 5322 §2.2.3 (folding), RFC 2045 §5.1 (parameters), RFC 2231 (their continuations and charsets), RFC 2047.
On failure: none; what is of no known form is shown as it is.
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

from services.console.mail_view.charsets import decoded

HEADER_BYTES = 65_536
_FIELDS = 300
_VALUE = 8_000
_WORDS = 1_000
# An unclosed quote takes all that is left, so that nothing is read twice.
_PARAMETER = re.compile(
    rb';[ \t]{0,80}([!#$%&\'*+.^_`|~0-9A-Za-z-]{1,80})[ \t]{0,80}=[ \t]{0,80}("(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^;]*)',
    re.DOTALL,
)
_SECTION = re.compile(r"(.*?)(?:\*(\d{1,3}))?(\*)?\Z")

Fields = list[tuple[str, bytes]]


def read_fields(head: bytes) -> tuple[Fields, bool]:
    """Return the fields of a header, names in lower case, and whether there are more than are read."""
    cut = len(head) > HEADER_BYTES
    lines = head[:HEADER_BYTES].replace(b"\r\n", b"\n").split(b"\n")
    joined: list[list[bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and joined:
            joined[-1].append(line.strip())
        else:
            joined.append([line])
    fields: Fields = []
    for pieces in joined:
        name, colon, value = b" ".join(pieces).partition(b":")
        if colon and name.strip():
            fields.append((name.strip().decode("latin-1").lower(), value.strip()))
    return fields[:_FIELDS], cut or len(fields) > _FIELDS


def first(fields: Fields, name: str) -> bytes:
    """Return the value of the first field of a name; empty if there is none."""
    return next((value for known, value in fields if known == name), b"")


def word_of(value: bytes) -> str:
    """Return what stands before a field's parameters, in lower case."""
    return value[:_VALUE].partition(b";")[0].strip().decode("latin-1").lower()[:100]


def parameters(value: bytes) -> dict[str, str]:
    """Return the parameters of a field, continuations joined and charsets decoded."""
    found: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for name, raw in _PARAMETER.findall(value[:_VALUE]):
        base, number, encoded = _section(name.decode("ascii").lower())
        found.setdefault(base, {}).setdefault(number, (_unquoted(raw), encoded))
    return {name: _joined(pieces) for name, pieces in found.items()}


def readable_words(value: bytes) -> str:
    """Return a field's value with its encoded words decoded."""
    text = value.decode("utf-8", "replace")
    if "=?" not in text or len(text) > _WORDS:
        return text
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError):
        return text
    return "".join(piece if isinstance(piece, str) else decoded(piece, charset or "utf-8") for piece, charset in pieces)


def _section(name: str) -> tuple[str, int, bool]:
    match = _SECTION.match(name)
    assert match is not None
    return match[1], int(match[2] or 0), match[3] is not None


def _unquoted(raw: bytes) -> bytes:
    raw = raw.strip()
    return re.sub(rb"\\(.)", rb"\1", raw[1:-1]) if raw[:1] == b'"' and raw[-1:] == b'"' and len(raw) > 1 else raw


def _joined(pieces: dict[int, tuple[bytes, bool]]) -> str:
    charset, octets, is_encoded = "utf-8", b"", False
    for number in sorted(pieces):
        piece, encoded = pieces[number]
        if encoded and number == min(pieces) and piece.count(b"'") >= 2:
            named, _, piece = piece.split(b"'", 2)
            charset = named.decode("latin-1") or charset
        is_encoded = is_encoded or encoded
        octets += unquote_to_bytes(piece) if encoded else piece
    return decoded(octets, charset) if is_encoded else readable_words(octets)
