"""Owns the canonical forms of DKIM and ARC, in time linear in the input. PURE.

Input: raw fields and a raw body. Output: bytes, the same as dkimpy's (a property test compares them); of a body also
piece by piece, so that neither the interpreter is held nor memory taken for as long as a large body is.
Standards: RFC 6376 §3.4.
On failure: never raises.
"""

from collections.abc import Iterator

from shared.auth.message import Field

_MANY_LINE_ENDS = tuple(b"\r\n" * count for count in (4096, 256, 16, 1))
# What of a body is looked at in one go: its worst form, all blanks, takes some milliseconds.
PIECE_BYTES = 131_072


def _single_spaces(text: bytes) -> bytes:
    """Return text with each run of blanks and tabs as one blank.

    Each pass halves the longest run, so there are at most log2(longest run) passes, each a search in C.
    """
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


def _end_of_text(body: bytes) -> int:
    """Return where the line ends begin that the body ends with."""
    end = len(body)
    for line_ends in _MANY_LINE_ENDS:
        while body.endswith(line_ends, 0, end):
            end -= len(line_ends)
    return end


def _without_empty_last_lines(body: bytes) -> bytes:
    """Return the body with exactly one CRLF at its end."""
    end = _end_of_text(body)
    # The usual body ends in one CRLF already: no copy.
    return body if end == len(body) - 2 else body[:end] + b"\r\n"


def simple_body(body: bytes) -> bytes:
    # RFC 6376 §3.4.3: empty lines at the end are ignored; an empty body is one CRLF.
    return _without_empty_last_lines(body)


def relaxed_body(body: bytes) -> bytes:
    # RFC 6376 §3.4.4: runs of white space are one blank, none before a line end; an empty body stays empty.
    body = _without_empty_last_lines(_single_spaces(body).replace(b" \r\n", b"\r\n"))
    return b"" if body == b"\r\n" else body


def body_pieces(body: bytes, *, relaxed: bool, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """Yield the canonical body, the same as of simple_body or relaxed_body, in pieces of about that size at most."""
    # The end of what was read so far that what follows may still change; and line ends that may turn out the last ones.
    open_end, line_ends, is_empty = b"", 0, True
    for start in range(0, len(body), piece_bytes):
        piece = open_end + body[start : start + piece_bytes]
        if relaxed:
            piece = _single_spaces(piece)
        open_end = _open_end(piece, relaxed=relaxed)
        piece = piece[: len(piece) - len(open_end)]
        if relaxed:
            piece = piece.replace(b" \r\n", b"\r\n")
        end = _end_of_text(piece)
        if end:
            yield from _line_ends(line_ends)
            yield piece[:end]
            line_ends, is_empty = 0, False
        line_ends += (len(piece) - end) // 2
    if open_end:
        yield from _line_ends(line_ends)
        yield open_end
        is_empty = False
    if not (is_empty and relaxed):
        yield b"\r\n"


def _open_end(piece: bytes, *, relaxed: bool) -> bytes:
    """Return the blank, the CR, or both, that a piece ends with: a line end or more blanks may follow."""
    end = len(piece) - piece.endswith(b"\r")
    return piece[end - (relaxed and piece.endswith(b" ", 0, end)) :]


def _line_ends(count: int) -> Iterator[bytes]:
    block = _MANY_LINE_ENDS[0]
    for _ in range(2 * count // len(block)):
        yield block
    yield b"\r\n" * (count % (len(block) // 2))


def simple_field(field: Field) -> bytes:
    # RFC 6376 §3.4.1: not changed in any way.
    return b"%b:%b" % (field.name, field.value)


def relaxed_field(field: Field) -> bytes:
    # RFC 6376 §3.4.2: name in lower case, unfolded, runs of white space as one blank, none around the value.
    return b"%b:%b" % (field.key, _single_spaces(field.value.replace(b"\r\n", b"")).strip(b" "))
