"""From a message to the files in it (PURE): its parts, decoded in every reading, and what stands outside parts.

Output: files and further messages, noted in the gathering as still to be looked at.
Standards: RFC 2045 §6, RFC 2046 §5, RFC 2183.
"""

import re
from dataclasses import replace

from services.content.mime.decoding import decoded
from services.content.mime.extensions import EXTENSION_BY_TYPE, extension
from services.content.mime.fields import Encoding, PartHeader
from services.content.mime.gathering import File, Gathering, Letter
from services.content.mime.inspection import Attachment, FaultKind, FileKind
from services.content.mime.names import MAX_READINGS, name_readings, part_names
from services.content.mime.text_files import text_files
from services.content.mime.tree import Part, Span, read_tree
from services.content.mime.uuencode import MAX_BLOCKS, uu_blocks
from services.content.mime.words import text_of

_PAGE_HEAD_BYTES = 8192
_MIN_OUTSIDE_BYTES = 10
# Outside parts: what some client may take for a part, or for an encoded file.
_PART_START = re.compile(
    rb"(?:\A|\n)--[^\r\n]{0,1000}\r?\n(?:[!-9;-~]{1,100}[ \t]*:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){0,20}?content-",
    re.IGNORECASE,
)
# A client to which the last boundary is one more of the multipart around it sees a part behind it.
_PART_FIELD = re.compile(rb"(?:\A|\n)Content-(?:Type|Disposition|Transfer-Encoding)[ \t]*:", re.IGNORECASE)
_BASE64_BLOCK = re.compile(rb"^(?:[A-Za-z0-9+/]{60,100}\r\n){3,}(?:[A-Za-z0-9+/]{1,100}={0,2}(?=\r|\Z))?", re.MULTILINE)
_LONE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_ENCRYPTED_TYPES = frozenset({b"application/pkcs7-mime", b"application/x-pkcs7-mime"})
_SHOWN_TYPES = (b"text/", b"image/", b"message/")
_PLAIN = (Encoding.IDENTITY,)


def read_letter(letter: Letter, gathering: Gathering) -> None:
    """Read a message's parts, and note what is to be looked at."""
    if not gathering.may_work(len(letter.data)):
        return
    tree = read_tree(letter.data, letter.header, gathering.count, letter.nesting)
    for fault in tree.faults:
        gathering.fault(fault.kind, fault.text, letter.number(fault.part))
    files: list[File] = []
    for part in tree.parts:
        files += _files_of(part, letter, gathering)
    for span in tree.outside:
        files += _outside(span, letter, gathering)
    # The last is taken first.
    gathering.files += reversed(files)


def _files_of(part: Part, letter: Letter, gathering: Gathering) -> list[File]:
    header = part.header
    number = letter.number(part.number)
    names = _names(header, number, gathering)
    if part.in_place or (header.multipart and names):
        gathering.add(Attachment(number, names, FileKind.MESSAGE, part.end - part.body, letter.path))
    if header.multipart:
        _encoded_multipart(part, letter, gathering)
        return []
    if part.in_place and header.encodings == _PLAIN:
        return []
    if header.type == b"message/partial":
        # RFC 2046 §5.2.2: clients put its pieces together; nobody can examine one.
        gathering.fault(FaultKind.AMBIGUOUS, "a part is a fragment of another message", number)
    shown = not names and not header.attached and header.type.startswith(_SHOWN_TYPES)
    encrypted = header.type in _ENCRYPTED_TYPES
    body = letter.data[part.body : part.end]
    found = [(number, content) for content in _readings(header, body, gathering, shown=shown)]
    if header.stray:
        # To clients that end the header early, the body is longer, and may not be encoded. Of the message's own header
        # nothing can be taken out.
        longer = header.stray + b"\r\n\r\n" + body
        every = replace(header, encodings=tuple({*header.encodings, Encoding.IDENTITY}))
        place = letter.number("") if part.start == part.body else number
        found += [(place, content) for content in _readings(every, longer, gathering, shown=shown)]
    files: list[File] = []
    for place, content in found:
        file = File(place, names, content, letter.path, letter.nesting, shown, encrypted, message=header.message)
        files.append(file)
        if (header.text and (header.type != b"text/html" or names)) or _is_calendar(names):
            files += _uuencoded(content, letter, gathering)
    return files


def _names(header: PartHeader, number: str, gathering: Gathering) -> tuple[str, ...]:
    names = part_names(header.named) if header.named else ()
    if header.type in EXTENSION_BY_TYPE and not any(extension(name) for name in names):
        # Clients give a file without an extension the one that its type has on their system.
        names = (*names, f"{names[0] if names else 'attachment'}.{EXTENSION_BY_TYPE[header.type]}")
    if len(names) > MAX_READINGS:
        gathering.fault(FaultKind.AMBIGUOUS, f"a file has more than {MAX_READINGS} names", number)
    return names[:MAX_READINGS]


def _is_calendar(names: tuple[str, ...]) -> bool:
    return any(extension(name) in ("ics", "vcs") for name in names)


def _readings(header: PartHeader, body: bytes, gathering: Gathering, *, shown: bool) -> list[bytes]:
    if shown and header.type == b"text/html" and len(header.encodings) == 1:
        # A page that clients show holds no files; its first bytes tell whether it is one.
        body = body[:_PAGE_HEAD_BYTES]
    found: dict[bytes, None] = {}
    for encoding in header.encodings:
        if not gathering.may_work(len(body)):
            break
        readings = decoded(body, encoding)
        if shown and encoding is Encoding.QUOTED_PRINTABLE:
            readings = readings[:1]
        for reading in readings[1:]:
            gathering.may_work(len(reading))
        if len(header.encodings) == 1:
            return readings
        found.update(dict.fromkeys(readings))
    return list(found)


def _encoded_multipart(part: Part, letter: Letter, gathering: Gathering) -> None:
    header = part.header
    number = letter.number(part.number)
    body = letter.data[part.body : part.end] if header.encodings != _PLAIN else b""
    # RFC 2045 §6.4: a multipart may not be encoded; some clients decode it nonetheless.
    for encoding in header.encodings:
        if encoding is Encoding.IDENTITY or not gathering.may_work(len(body)):
            continue
        for content in decoded(body, encoding):
            if content != body and any(b"--" + boundary in content for boundary in header.boundaries):
                gathering.fault(FaultKind.MALFORMED, "a multipart is encoded", number)
                plain = replace(header, encodings=_PLAIN, faults=[])
                nesting = letter.nesting + part.level + 1
                gathering.later(Letter(plain, with_line_ends(content), number, letter.path, nesting))


def _uuencoded(text: bytes, letter: Letter, gathering: Gathering) -> list[File]:
    files = [
        File("", name_readings([text_of(block.name)])[:MAX_READINGS], block.content, letter.path, letter.nesting)
        for block in (*uu_blocks(text), *text_files(text))
    ]
    if len(files) >= MAX_BLOCKS:
        text_of_fault = f"a text has more than {MAX_BLOCKS} encoded files"
        gathering.fault(FaultKind.EXCEEDED, text_of_fault, letter.number(""))
    return files


def _outside(span: Span, letter: Letter, gathering: Gathering) -> list[File]:
    size = span.end - span.start
    if size < _MIN_OUTSIDE_BYTES or not gathering.may_work(size):
        return []
    text = letter.data[span.start : span.end]
    if _PART_START.search(text) or (span.after and _PART_FIELD.search(text)):
        gathering.fault(FaultKind.AMBIGUOUS, "parts stand where no part may be", letter.number(""))
    files = _uuencoded(text, letter, gathering)
    for number, match in enumerate(_BASE64_BLOCK.finditer(text)):
        if number >= MAX_BLOCKS:
            gathering.fault(FaultKind.EXCEEDED, "too many encoded blocks stand outside parts", letter.number(""))
            break
        content = decoded(match[0], Encoding.BASE64)[0]
        files.append(File("", (), content, letter.path, letter.nesting, shown=True))
    return files


def with_line_ends(data: bytes) -> bytes:
    """Return data with CRLF at every line's end."""
    if data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r"):
        return data
    return _LONE_LINE_END.sub(b"\r\n", data)
