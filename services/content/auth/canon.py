"""Owns the canonical forms of DKIM and ARC, in time linear in the input, and the digests of canonical bodies. PURE.

Input: raw fields and a raw body. Output: bytes, the same as dkimpy's (a property test compares them), and digests.
Standards: RFC 6376 §3.4.
On failure: never raises.
"""

import hashlib

from shared.auth.message import Field

_MANY_LINE_ENDS = tuple(b"\r\n" * count for count in (4096, 256, 16, 1))


def _single_spaces(text: bytes) -> bytes:
    """Return text with each run of blanks and tabs as one blank.

    Each pass halves the longest run, so there are at most log2(longest run) passes, each a search in C.
    """
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


def _without_empty_last_lines(body: bytes) -> bytes:
    """Return the body with exactly one CRLF at its end."""
    end = len(body)
    for line_ends in _MANY_LINE_ENDS:
        while body.endswith(line_ends, 0, end):
            end -= len(line_ends)
    # The usual body ends in one CRLF already: no copy.
    return body if end == len(body) - 2 else body[:end] + b"\r\n"


def simple_body(body: bytes) -> bytes:
    # RFC 6376 §3.4.3: empty lines at the end are ignored; an empty body is one CRLF.
    return _without_empty_last_lines(body)


def relaxed_body(body: bytes) -> bytes:
    # RFC 6376 §3.4.4: runs of white space are one blank, none before a line end; an empty body stays empty.
    body = _without_empty_last_lines(_single_spaces(body).replace(b" \r\n", b"\r\n"))
    return b"" if body == b"\r\n" else body


def simple_field(field: Field) -> bytes:
    # RFC 6376 §3.4.1: not changed in any way.
    return b"%b:%b" % (field.name, field.value)


def relaxed_field(field: Field) -> bytes:
    # RFC 6376 §3.4.2: name in lower case, unfolded, runs of white space as one blank, none around the value.
    return b"%b:%b" % (field.key, _single_spaces(field.value.replace(b"\r\n", b"")).strip(b" "))


class BodyDigests:
    """The SHA-256 digests of one body, each computed once however many signatures (and re-runs) ask for it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._canonical: dict[bool, bytes] = {}
        self._digests: dict[tuple[bool, int], bytes] = {}
        self.hashed_bytes = 0

    def size_bytes(self, *, relaxed: bool) -> int:
        """Return the length of the canonical body."""
        return len(self._form(relaxed))

    def sha256(self, *, relaxed: bool, length: int | None = None) -> bytes:
        """Return the digest of the canonical body, or of its first `length` bytes."""
        form = self._form(relaxed)
        length = len(form) if length is None else min(length, len(form))
        digest = self._digests.get((relaxed, length))
        if digest is None:
            digest = hashlib.sha256(memoryview(form)[:length]).digest()
            self._digests[relaxed, length] = digest
            self.hashed_bytes += length
        return digest

    def _form(self, relaxed: bool) -> bytes:
        form = self._canonical.get(relaxed)
        if form is None:
            form = relaxed_body(self._body) if relaxed else simple_body(self._body)
            self._canonical[relaxed] = form
        return form
