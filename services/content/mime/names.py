"""Every reading of a file's name (PURE).

Input: parameters of Content-Disposition and Content-Type, or a name as an archive or a uuencoded file has it. Output:
names without folders, the usual reading first, each at most MAX_NAME_CHARACTERS. One more than MAX_READINGS of them
means that there are too many.
Standards: RFC 2183 §2.3, RFC 2231 §3, §4, RFC 2047 (in parameters, where §5 forbids it and all clients decode it).
On failure: never raises; a name that cannot be read is read as well as may be.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from services.content.mime.inspection import MAX_NAME_CHARACTERS
from services.content.mime.parameters import Parameter
from services.content.mime.words import extended_text, text_of, without_percent, without_words

MAX_READINGS = 40
_MAX_RAW_CHARACTERS = 4000
_PLAIN = re.compile(r"[A-Za-z0-9_(\[][A-Za-z0-9 _.,()\[\]+-]{0,198}[A-Za-z0-9_)\]]")
_SECTION = re.compile(rb"(filename|name)\*([0-9]{1,3})(\*?)")
# Characters that are not seen, or turn the order of those that are: Unicode's bidirectional and format characters.
INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_LINES = re.compile(r"[\r\n]+[ \t]*")
_MARKS = "\"'<>|*? .\t\xa0\u3000"


def part_names(named: Iterable[Parameter]) -> tuple[str, ...]:
    """Return every reading of a part's name, from its parameters."""
    given = tuple(named)
    if not given:
        return ()
    if len(given) == 1 and given[0].name in (b"filename", b"name") and len(given[0].readings) == 1:
        return name_readings([text_of(given[0].readings[0])])
    return name_readings(_texts(given))


def _texts(named: tuple[Parameter, ...]) -> Iterator[str]:
    plain: list[str] = []
    sections: dict[tuple[bytes, bytes], list[tuple[int, bool, bytes]]] = {}
    for one in named:
        if one.name in (b"filename*", b"name*"):
            yield from map(extended_text, one.readings)
        elif one.name in (b"filename", b"name"):
            plain += map(text_of, one.readings)
        elif match := _SECTION.fullmatch(one.name):
            pieces = sections.setdefault((match[1], b""), [])
            pieces += [(int(match[2]), bool(match[3]), reading) for reading in one.readings[:1]]
    for pieces in sections.values():
        yield from _joined(pieces)
    yield from plain


def _joined(pieces: list[tuple[int, bool, bytes]]) -> Iterator[str]:
    # RFC 2231 §3: sections by number; clients differ in what they make of gaps, repetitions and mixed forms.
    ordered = sorted(pieces, key=lambda piece: piece[0])
    last = list({piece[0]: piece for piece in ordered}.values())
    first = list({piece[0]: piece for piece in reversed(ordered)}.values())[::-1]
    upto_gap = [piece for place, piece in enumerate(first) if piece[0] == place]
    for chosen in (upto_gap, first, last, ordered, pieces):
        if chosen:
            yield _section_text(chosen)
            yield extended_text(b"".join([value for _, _, value in chosen]))


def _section_text(pieces: list[tuple[int, bool, bytes]]) -> str:
    charset = ""
    octets = []
    for place, (_, extended, value) in enumerate(pieces):
        text = value
        if extended:
            if place == 0 and value.count(b"'") >= 2:
                name, _, text = value.split(b"'", 2)
                charset = name.decode("latin-1")
            text = _unquoted(text)
        octets.append(text)
    return text_of(b"".join(octets), charset)


def _unquoted(value: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), value)


def name_readings(texts: Iterable[str]) -> tuple[str, ...]:
    """Return every reading of a name, given as one or more texts."""
    found: dict[str, None] = {}
    for text in texts:
        if _PLAIN.fullmatch(text):
            found[text] = None
            continue
        # What an archive says is not always text: no JSON can carry half a surrogate pair.
        whole = _cut(text, _MAX_RAW_CHARACTERS).encode("utf-8", "replace").decode("utf-8")
        for reading in _readings(whole):
            if reading:
                found[_cut(reading, MAX_NAME_CHARACTERS)] = None
        if len(found) > MAX_READINGS:
            break
    return tuple(found)[: MAX_READINGS + 1]


def _readings(text: str) -> Iterator[str]:
    text = _LINES.sub(" ", text) if "\n" in text or "\r" in text else text
    decoded = without_words(text)
    yield from _forms(decoded)
    if "%" in decoded:
        yield from _forms(without_percent(decoded))
    if decoded != text and "%" in text:
        yield from _forms(without_words(without_percent(text)))


def _forms(text: str) -> Iterator[str]:
    """The name as it is written, and as systems take it: without folders, invisible characters, what Windows drops."""
    base = _without_folders(text)
    yield base
    plain = unicodedata.normalize("NFKC", INVISIBLE.sub("", base))
    # Windows drops dots and spaces at the end; behind a colon stands a stream of the file: `x.exe::$DATA` is x.exe.
    yield _without_folders(plain).strip(_MARKS)
    if ":" in plain:
        file, _, stream = plain.partition(":")
        if "." not in stream:
            yield file.strip(_MARKS)
        yield plain.rpartition(":")[2].strip(_MARKS)
    if "\0" in base:
        yield base.partition("\0")[0].strip(_MARKS)


def _without_folders(text: str) -> str:
    if "/" in text or "\\" in text:
        pieces = [piece for piece in text.replace("\\", "/").split("/") if piece.strip(". ")]
        return pieces[-1] if pieces else ""
    return text


def _cut(text: str, limit: int) -> str:
    """Shorten a name so that its beginning and its extensions stay."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 3]}…{text[-(limit - limit // 3 - 1) :]}"


def shown(name: str, limit: int = 80) -> str:
    """Return a name that is safe to show: what is invisible is written as an escape; the end stays if it is long."""
    if not name.isprintable() or INVISIBLE.search(name):
        name = "".join(
            [one if one.isprintable() and not INVISIBLE.match(one) else f"\\u{ord(one):04x}" for one in name]
        )
    return _cut(name, limit)
