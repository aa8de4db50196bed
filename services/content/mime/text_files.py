"""Files that stand encoded within a text, beside uuencoded ones (PURE): yEnc, BinHex, attachments of a calendar entry.

Output: `Block`s, each with the file's name and content. Standards: yEnc 1.3, RFC 1741 (BinHex), RFC 5545 §3.8.1.1.
Thunderbird decodes the first two in a message without MIME, Outlook the third in an invitation.
On failure: never raises; what cannot be decoded is passed over. Time is linear in the text.
"""

import binascii
import re
import string
from collections.abc import Iterator

from services.content.mime.uuencode import MAX_BLOCKS, Block

_YENC = re.compile(rb"^=ybegin [^\r\n]{0,200}?name=([^\r\n]{1,1000})\r?\n(?:=ypart [^\r\n]*\r?\n)?", re.MULTILINE)
_YENC_END = re.compile(rb"^=yend", re.MULTILINE)
_YENC_ESCAPE = re.compile(rb"=(.)", re.DOTALL)
_MINUS_42 = bytes((value - 42) & 255 for value in range(256))
_BINHEX = re.compile(rb"^\(This file must be converted with BinHex[^\r\n]*\r?\n\s*+:([^:]*)", re.MULTILINE)
_BINHEX_LETTERS = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BASE64_LETTERS = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode()
_NO_BASE64 = bytes(set(range(256)) - set(_BASE64_LETTERS))
_FROM_BINHEX = bytes.maketrans(_BINHEX_LETTERS, _BASE64_LETTERS)
_NO_BINHEX = bytes(set(range(256)) - set(_BINHEX_LETTERS))
_RUN = re.compile(rb"(.)\x90(.)", re.DOTALL)
# Runs would let a text grow to 85 times its size.
_MAX_GROWTH = 8
_BINHEX_HEAD_BYTES = 21
_HEAD_BYTES = 4096
_FOLD = re.compile(rb"\r?\n[ \t]")
_CALENDAR_FILE = re.compile(
    rb"^ATTACH\b((?:[^\r\n:\"]|\"[^\r\n\"]{0,1000}\"){0,2000}+):([^\r\n]+)", re.IGNORECASE | re.MULTILINE
)
_CALENDAR_NAME = re.compile(rb"FILENAME=\"?([^\";:\r\n]{1,1000})", re.IGNORECASE)


def text_files(text: bytes) -> Iterator[Block]:
    """Return the files in a text, at most MAX_BLOCKS of a kind."""
    # Searches for one octet first: they are forty times faster, and plain text rarely has it.
    if b"=" in text and b"=ybegin " in text:
        yield from _yenc(text)
    if b"H" in text and b"converted with BinHex" in text:
        yield from _binhex(text)
    if b"BEGIN:VCALENDAR" in text[:_HEAD_BYTES].upper():
        yield from _calendar(text)


def _yenc(text: bytes) -> Iterator[Block]:
    place = 0
    for _ in range(MAX_BLOCKS):
        match = _YENC.search(text, place)
        if match is None:
            return
        end = _YENC_END.search(text, match.end())
        place = end.start() if end else len(text)
        body = text[match.end() : place].translate(None, b"\r\n")
        plain = _YENC_ESCAPE.sub(lambda one: bytes([(one[1][0] - 64) & 255]), body)
        yield Block(match[1].strip(), plain.translate(_MINUS_42))


def _binhex(text: bytes) -> Iterator[Block]:
    for number, match in enumerate(_BINHEX.finditer(text)):
        if number >= MAX_BLOCKS:
            return
        letters = match[1].translate(None, _NO_BINHEX)
        letters = letters[:-1] if len(letters) % 4 == 1 else letters
        packed = binascii.a2b_base64(letters.translate(_FROM_BINHEX) + b"=" * (-len(letters) % 4))
        file = _without_runs(packed)
        if not file or len(file) < 1 + file[0] + _BINHEX_HEAD_BYTES:
            continue
        name, start = file[1 : 1 + file[0]], 1 + file[0] + _BINHEX_HEAD_BYTES
        size = int.from_bytes(file[start - 10 : start - 6], "big")
        yield Block(name, file[start : start + size])


def _without_runs(packed: bytes) -> bytes:
    if sum(count[0] for _, count in _RUN.findall(packed)) > _MAX_GROWTH * len(packed):
        return packed
    return _RUN.sub(lambda run: run[1] * run[2][0] if run[2] != b"\0" else run[1] + b"\x90", packed)


def _calendar(text: bytes) -> Iterator[Block]:
    for number, match in enumerate(_CALENDAR_FILE.finditer(_FOLD.sub(b"", text))):
        if number >= MAX_BLOCKS:
            return
        if b"base64" not in match[1].lower():
            continue
        letters = match[2].translate(None, _NO_BASE64)
        letters = letters[:-1] if len(letters) % 4 == 1 else letters
        name = _CALENDAR_NAME.search(match[1])
        content = binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
        yield Block(name[1] if name else b"", content)
