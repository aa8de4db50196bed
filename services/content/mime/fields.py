"""What the header of a MIME part says: type, boundaries, transfer encodings, names (PURE).

Input: header fields. Output: `PartHeader`, in which every reading stands where clients differ.
Standards: RFC 2045 §5, §6, RFC 2046 §5.1, RFC 2183.
On failure: never raises; what is wrong stands in `faults`, without the part's number.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from services.content.mime.inspection import Fault, FaultKind
from services.content.mime.parameters import MAX_PARAMETERS, Parameter, parameters
from shared.auth.message import BLANK_LINE, Message

MAX_BOUNDARY_BYTES = 1000


class Encoding(Enum):
    """Transfer encodings."""

    IDENTITY = "identity"
    BASE64 = "base64"
    QUOTED_PRINTABLE = "quoted-printable"
    UUENCODE = "uuencode"


_ENCODINGS = {
    **dict.fromkeys((b"", b"7bit", b"8bit", b"binary", b"7-bit", b"8-bit", b"7bits", b"8bits"), Encoding.IDENTITY),
    # What sloppy senders write where they mean that the text is as it is.
    **dict.fromkeys((b"none", b"ascii", b"us-ascii", b"utf-8", b"utf8", b"8", b"7"), Encoding.IDENTITY),
    b"base64": Encoding.BASE64,
    b"quoted-printable": Encoding.QUOTED_PRINTABLE,
    **dict.fromkeys((b"uuencode", b"x-uuencode", b"x-uue", b"uue"), Encoding.UUENCODE),
}
_EVERY_ENCODING = tuple(Encoding)
_PLAIN_ENCODING = (Encoding.IDENTITY,)
_TOKEN = re.compile(rb"[^\s;(]*")
_TYPE = re.compile(rb'\s*+"?([^\s;()"/]{1,100})\s*+/\s*+([^\s;()"/=,]{1,100})')
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_MESSAGES = frozenset({b"message/rfc822", b"message/global", b"message/news"})
_TYPE_FIELD = b"content-type"
_ENCODING_FIELD = b"content-transfer-encoding"
_DISPOSITION_FIELD = b"content-disposition"


@dataclass(slots=True)
class PartHeader:
    """A part's header. type: `text/plain`, in lower case. boundaries: of a multipart, every reading.

    encodings: those to try, usually one. attached: the sender wants it shown as a file. named: parameters that may hold
    its name, those of Content-Disposition first. stray: of the header, what some clients take for the body's beginning.
    """

    type: bytes = b"text/plain"
    boundaries: tuple[bytes, ...] = ()
    encodings: tuple[Encoding, ...] = _PLAIN_ENCODING
    attached: bool = False
    named: tuple[Parameter, ...] = ()
    stray: bytes = b""
    faults: list[Fault] = field(default_factory=list)

    @property
    def multipart(self) -> bool:
        """Whether it holds parts."""
        return self.type.startswith(b"multipart/")

    @property
    def message(self) -> bool:
        """Whether it holds a message."""
        return self.type in _MESSAGES

    @property
    def text(self) -> bool:
        """Whether it is text by its type."""
        return self.type.startswith(b"text/")

    def ambiguous(self, text: str) -> None:
        """Note that clients read it differently."""
        self.faults.append(Fault(FaultKind.AMBIGUOUS, text))


def header_of(message: Message) -> PartHeader:
    """Read what a message's header says of its body."""
    header = read_fields([(field.key, field.value) for field in message.fields if field.key.startswith(b"content-")])
    header.stray = message.stray
    if header.boundaries:
        _look_for_boundaries(header, [field.key for field in message.fields] + message.stray.split(b"\r\n"))
    return header


def read_block(block: bytes, default: bytes = b"text/plain") -> PartHeader:
    """Read the header of a part as it stands in the message, without its last line end."""
    fields = []
    blank = BLANK_LINE.search(block)
    stray = blank.end() if blank else len(block)
    place = 0
    lines = _FIELD_END.split(block)
    for line in lines:
        match = _FIELD.match(line)
        if match is None:
            stray = min(stray, place)
        else:
            key = match[1].lower()
            if key.startswith(b"content-"):
                fields.append((key, line[match.end() :]))
        place += len(line) + 2
    header = read_fields(fields, default)
    header.stray = block[stray:]
    if header.boundaries:
        _look_for_boundaries(header, lines)
    return header


def _look_for_boundaries(header: PartHeader, lines: list[bytes]) -> None:
    heads = tuple([b"--" + boundary.lower() for boundary in header.boundaries])
    if any(line.lower().startswith(heads) for line in lines if line.startswith(b"--")):
        header.ambiguous("a line of a header is like a boundary")


def read_fields(fields: Iterable[tuple[bytes, bytes]], default: bytes = b"text/plain") -> PartHeader:
    """Read fields, given as (name in lower case, value)."""
    types, encodings, dispositions = [], [], []
    for key, value in fields:
        if key == _TYPE_FIELD:
            types.append(value)
        elif key == _ENCODING_FIELD:
            encodings.append(value)
        elif key == _DISPOSITION_FIELD:
            dispositions.append(value)
    header = PartHeader(default)
    found: list[Parameter] = []
    for value in dispositions:
        # RFC 2183 §2.8: an unknown disposition is an attachment.
        header.attached = header.attached or value.lstrip()[:6].lower() != b"inline"
        found += parameters(value)
    if types:
        found += _read_types(header, types)
    if encodings:
        _read_encodings(header, encodings)
    if len(found) > MAX_PARAMETERS:
        header.faults.append(Fault(FaultKind.EXCEEDED, f"a part's header has more than {MAX_PARAMETERS} parameters"))
        found = found[:MAX_PARAMETERS]
    header.named = tuple([one for one in found if one.name.startswith((b"filename", b"name"))])
    return header


def _read_encodings(header: PartHeader, values: list[bytes]) -> None:
    found: dict[Encoding, None] = {}
    for value in values:
        token = value.strip().lower()
        encoding = _ENCODINGS.get(token)
        if encoding is None:
            # Some clients forgive a semicolon, a comment or quotes; to others the encoding is then unknown.
            first = _TOKEN.match(token.replace(b'"', b""))[0]  # type: ignore[index]
            forgiven = _ENCODINGS.get(first) if first else None
            if forgiven is None:
                header.faults.append(Fault(FaultKind.MALFORMED, "a part's transfer encoding is unknown"))
            header.encodings = _EVERY_ENCODING if forgiven is None else (forgiven, Encoding.IDENTITY)
            encoding = forgiven or Encoding.IDENTITY
        else:
            header.encodings = (encoding,)
        found[encoding] = None
    if len(found) > 1:
        header.encodings = _EVERY_ENCODING
        if not header.text:
            header.ambiguous("a part has several transfer encodings")


def _read_types(header: PartHeader, values: list[bytes]) -> list[Parameter]:
    kinds: dict[bytes, None] = {}
    boundaries: dict[bytes, None] = {}
    found: list[Parameter] = []
    for value in values:
        match = _TYPE.match(value)
        given = parameters(value)
        found += given
        bounds = [one for one in given if one.name.partition(b"*")[0] == b"boundary"]
        boundaries.update(dict.fromkeys(_boundaries(header, bounds)))
        if match:
            kinds[match[1].lower() + b"/" + match[2].lower()] = None
            if b"(" in value and _hides_a_type(value):
                header.ambiguous("a comment stands in a part's type")
            if b"=?" in match[0]:
                header.ambiguous("an encoded word stands in a part's type")
        elif bounds or b"multipart" in value[:100].lower():
            # RFC 2045 §5.2: to some clients it is plain text, others go by the boundary.
            header.ambiguous("a part's type cannot be read, yet it may have parts")
    if kinds:
        # Of several types the one counts of which most is examined; only what has parts of its own makes a difference.
        header.type = max(kinds, key=_weight)
    if len(kinds) > 1 and header.type.startswith((b"multipart/", b"message/")):
        header.ambiguous("a part has several types")
    header.boundaries = tuple(boundaries)
    return found


def _weight(kind: bytes) -> int:
    return 3 if kind.startswith(b"multipart/") else 2 if kind.startswith(b"message/") else not kind.startswith(b"text/")


def _hides_a_type(value: bytes) -> bool:
    """Whether a comment stands before or within the type, where clients differ in what they make of it."""
    start = value.partition(b";")[0]
    return b"(" in start.partition(b"/")[0] or b"/" in start.partition(b"(")[2]


def _boundaries(header: PartHeader, given: list[Parameter]) -> list[bytes]:
    found = []
    for one in given:
        if one.name != b"boundary":
            # RFC 2231 §3: any parameter may be; only some clients put a boundary together.
            header.ambiguous("a boundary is written in the form of RFC 2231")
        # RFC 2046 §5.1.1: a boundary does not end in white space.
        found += [reading.rstrip(b" \t\r\n") for reading in one.readings]
    if any(len(boundary) > MAX_BOUNDARY_BYTES for boundary in found):
        header.ambiguous(f"a boundary is longer than {MAX_BOUNDARY_BYTES} bytes")
    return [boundary for boundary in found if boundary and len(boundary) <= MAX_BOUNDARY_BYTES]
