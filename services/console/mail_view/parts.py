"""The tree of a message's parts (PURE): types, names, places in the bytes.

Owns: the bounds: so many parts, so deep, so much header each; beyond them what is inside a part is not shown, and said.
Standards: RFC 2046 §5.1 (multipart), §5.2.1 (message/rfc822).
On failure: none; a multipart without its boundary has no parts.
"""

import re
from dataclasses import dataclass

from services.console.mail_view.fields import Fields, first, parameters, read_fields, word_of

PARTS = 200
DEPTH = 20
# Beyond these bytes no boundary is looked for.
LOOKED_AT = 64_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One part. number: `1.2`, empty for the message itself. start, end: of its body in the message's bytes."""

    number: str
    depth: int
    type: str
    charset: str
    name: str
    encoding: str
    disposition: str
    start: int
    end: int
    fields: Fields

    @property
    def is_container(self) -> bool:
        """Whether it holds parts and has no content of its own."""
        return self.type.startswith("multipart/") or self.type == "message/rfc822"


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: str
    depth: int
    start: int
    end: int
    kind: str = "text/plain"


def parts_of(message: bytes) -> tuple[list[Part], bool]:
    """Return the parts in the order in which they stand, and whether some are not shown."""
    found: list[Part] = []
    waiting = [_Waiting("", 0, 0, len(message))]
    is_cut = len(message) > LOOKED_AT
    while waiting:
        if len(found) == PARTS:
            return found, True
        one = waiting.pop()
        part, boundary = _read(message, one)
        found.append(part)
        if not part.is_container or not (boundary or part.type == "message/rfc822"):
            continue
        if one.depth == DEPTH:
            is_cut = True
            continue
        if part.type == "message/rfc822":
            waiting.append(_Waiting(f"{one.number or '1'}.m", one.depth + 1, part.start, part.end))
            continue
        kind = "message/rfc822" if part.type == "multipart/digest" else "text/plain"
        places, more = _inside(message, part, boundary, PARTS - len(found))
        is_cut = is_cut or more
        prefix = f"{one.number}." if one.number else ""
        children = [
            _Waiting(f"{prefix}{place}", one.depth + 1, start, end, kind)
            for place, (start, end) in enumerate(places, 1)
        ]
        waiting += reversed(children)
    return found, is_cut


def _read(message: bytes, one: _Waiting) -> tuple[Part, bytes]:
    start, body = _body_at(message, one.start, one.end)
    fields, _ = read_fields(message[one.start : start])
    value = first(fields, "content-type")
    named = parameters(value)
    disposition = first(fields, "content-disposition")
    part = Part(
        number=one.number,
        depth=one.depth,
        type=word_of(value) or one.kind,
        charset=named.get("charset", "")[:60],
        name=(parameters(disposition).get("filename") or named.get("name") or "")[:400],
        encoding=word_of(first(fields, "content-transfer-encoding"))[:40],
        disposition=word_of(disposition)[:40],
        start=body,
        end=one.end,
        fields=fields,
    )
    return part, named.get("boundary", "").encode("utf-8", "replace")[:200]


def _body_at(message: bytes, start: int, end: int) -> tuple[int, int]:
    """Return where the header ends and where the body begins."""
    if message.startswith((b"\r\n", b"\n"), start, end):
        return start, start + (2 if message[start] == 0x0D else 1)
    places = [(found, len(gap)) for gap in (b"\r\n\r\n", b"\n\n") if (found := message.find(gap, start, end)) >= 0]
    if not places:
        return end, end
    found, length = min(places)
    return found, found + length


def _inside(message: bytes, part: Part, boundary: bytes, limit: int) -> tuple[list[tuple[int, int]], bool]:
    """Return where the parts of a multipart begin and end, and whether there are more than the limit."""
    if not boundary:
        return [], False
    # RFC 2046 §5.1.1: a delimiter begins a line; the line end before it is its own.
    line = re.compile(rb"(?:\A|(?<=\n))--" + re.escape(boundary) + rb"(--)?[ \t]{0,200}(?:\r?\n|\Z)")
    places: list[tuple[int, int]] = []
    begun: int | None = None
    region = message[part.start : min(part.end, LOOKED_AT)]
    for delimiter in line.finditer(region):
        if begun is not None:
            places.append((part.start + begun, part.start + _without_line_end(region, begun, delimiter.start())))
            if len(places) > limit:
                return places[:limit], True
        if delimiter[1]:
            return places, False
        begun = delimiter.end()
    if begun is not None:
        places.append((part.start + begun, part.start + len(region)))
    return places[:limit], len(places) > limit


def _without_line_end(region: bytes, start: int, end: int) -> int:
    for ending in (b"\r\n", b"\n"):
        if region.endswith(ending, start, end):
            return max(start, end - len(ending))
    return end
