"""Transfer encodings, in every reading where decoders differ (PURE).

Output: the contents that decoders make of an encoded body, the usual one first. Standards: RFC 2045 §6.
On failure: never raises; what cannot be decoded is passed over. Time is linear in the body.
"""

import binascii
import re
import string

from services.content.mime.fields import Encoding
from services.content.mime.uuencode import uu_blocks

# How many pieces, each ended by padding, are decoded by themselves; the rest is taken as one.
_MAX_PIECES = 10_000
_ALPHABET = (string.ascii_letters + string.digits + "+/").encode()
_SPACES = b" \t\r\n\v\f\0"
_NO_LETTERS = bytes(set(range(256)) - set(_ALPHABET) - set(b"="))
_PADDING = re.compile(rb"=+")
_GARBAGE = re.compile(rb"[^A-Za-z0-9+/=\s\0]")
_SPACE_AT_LINE_END = re.compile(rb"(?<![ \t])[ \t]+(?=\r\n)")


def decoded(body: bytes, encoding: Encoding) -> list[bytes]:
    """Return every reading of a body, at least one."""
    match encoding:
        case Encoding.IDENTITY:
            return [body]
        case Encoding.BASE64:
            return _base64(body)
        case Encoding.QUOTED_PRINTABLE:
            return _quoted_printable(body)
        case Encoding.UUENCODE:
            return [block.content for block in uu_blocks(body)] or [body]


def _base64(body: bytes) -> list[bytes]:
    try:
        content = binascii.a2b_base64(body)
    except binascii.Error:
        return _odd_base64(body)
    text = body.rstrip()
    padding = 0 if text[-1:] != b"=" else 2 if text[-2:] == b"==" else 1
    # Had there been anything but letters, line ends and the last padding, the content would be shorter.
    letters = len(text) - 2 * text.count(b"\n")
    return [content] if len(content) == letters * 3 // 4 - padding and letters % 4 == 0 else _odd_base64(body)


def _odd_base64(body: bytes) -> list[bytes]:
    # RFC 2045 §6.8: other characters must be ignored, and what follows padding may be; decoders do neither alike.
    clean = body.translate(None, _NO_LETTERS)
    pieces = _PADDING.split(clean, _MAX_PIECES)
    readings = [_letters(pieces[0])]
    if len(pieces) > 1 and any(pieces[1:]):
        readings += [b"".join(map(_letters, pieces)), _letters(clean)]
    garbage = _GARBAGE.search(body)
    if garbage:
        readings.append(_letters(body[: garbage.start()].translate(None, _NO_LETTERS)))
    return list(dict.fromkeys(readings))


def _letters(letters: bytes) -> bytes:
    if b"=" in letters:
        letters = letters.replace(b"=", b"")
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _quoted_printable(body: bytes) -> list[bytes]:
    content = binascii.a2b_qp(body)
    # RFC 2045 §6.7 rule 3: spaces at a line's end are no content; not every decoder takes them out.
    if b" \r\n" not in body and b"\t\r\n" not in body:
        return [content]
    stripped = binascii.a2b_qp(_SPACE_AT_LINE_END.sub(b"", body))
    return [content] if stripped == content else [content, stripped]
