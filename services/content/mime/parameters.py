"""Parameters of Content-Type and Content-Disposition, read as widely as mail clients read them (PURE).

Input: a field's value, folded as it came. Output: its parameters in order, at most MAX_PARAMETERS of them.
Standards: RFC 2045 §5.1, RFC 2231. Comments, missing semicolons and quotes without end are taken as they come: what
one client takes for a parameter is one here. Time is linear in the length of the value.
"""

import re
from itertools import islice
from typing import NamedTuple

MAX_PARAMETERS = 100

# A name begins after a semicolon, white space, comma or in a comment (some clients need no semicolon, others don't know
# comments); a quoted value is passed over whole.
_PARAMETER = re.compile(rb'(?<=[;\s(,])([^\s=;"(,]{1,100})\s*+=\s*+("(?:[^"\\]++|\\.)*+"?|[^;\s]*+)', re.DOTALL)
_FOLD = re.compile(rb"\r?\n")
_ODD = re.compile(rb'[()"]')
_COMMENT_SIGN = re.compile(rb"[()]")
_FOLDER = re.compile(rb'\\[^"\\]')
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class Parameter(NamedTuple):
    """One parameter. name: in lower case. readings: what clients take for its value, the usual one first."""

    name: bytes
    readings: tuple[bytes, ...]


def parameters(value: bytes) -> tuple[Parameter, ...]:
    """Return the parameters of a field's value. One more than MAX_PARAMETERS means that there are too many."""
    if b"=" not in value:
        return ()
    found = islice(_PARAMETER.finditer(value), MAX_PARAMETERS + 1)
    return tuple([Parameter(match[1].lower(), _readings(value, match)) for match in found])


def _readings(value: bytes, match: re.Match[bytes]) -> tuple[bytes, ...]:
    text = match[2]
    end = match.end()
    quoted = text[:1] == b'"'
    if quoted:
        closed = len(text) > 1 and text[-1:] == b'"'
        inner = text[1:-1] if closed else text[1:]
        if b"\n" in inner:
            inner = _FOLD.sub(b"", inner)
        if closed and b"\\" not in inner and value[end : end + 1] in (b"", b";", b" ", b"\t", b"\r"):
            return (inner,)
        readings = [_ESCAPE.sub(rb"\1", inner), inner]
        if _FOLDER.search(inner):
            # The sender wrote a path of Windows and knew no escapes.
            readings.reverse()
        if not closed:
            # A quote without end: some clients read on to the end of the field, others to the next semicolon.
            readings.append(inner.partition(b";")[0])
    else:
        if value[end : end + 1] in (b"", b";") and not _ODD.search(text):
            return (text,)
        # RFC 2045 §5.1: no token has a parenthesis or a quote; some clients take them for part of the value.
        readings = [text, _COMMENT_SIGN.split(text, 1)[0]]
    # Up to the next semicolon, as clients read that allow spaces in what is not quoted.
    semicolon = value.find(b";", end)
    whole = value[match.start(2) : semicolon if semicolon >= 0 else len(value)]
    whole = _FOLD.sub(b"", whole).replace(b'"', b"").strip(b" \t")
    # Where another parameter follows without a semicolon, nobody takes it for part of the value.
    readings.insert(len(readings) if quoted or b"=" in whole else 0, whole)
    return tuple(dict.fromkeys(readings))
