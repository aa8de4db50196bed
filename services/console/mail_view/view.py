"""A message for reading (PURE): its header, the tree of its parts, its texts, and what is attached.

Owns: how much of each is shown; what is left out is said. Costs time in proportion to the message, up to a second for
the largest: call it in a thread.
"""

import binascii
import hashlib
from dataclasses import dataclass

from services.console.mail_view.charsets import decoded
from services.console.mail_view.fields import readable_words
from services.console.mail_view.html_text import text_of_html
from services.console.mail_view.parts import Part, parts_of

_TEXTS = 20
_TEXT_BYTES = 200_000
_SHOWN = 60_000
_LINE = 1_000
_FIELDS = 150
_VALUE = 2_000


@dataclass(frozen=True, slots=True)
class Field:
    """A header field. value: with its encoded words decoded; raw: as it stands, empty where that is the same."""

    name: str
    value: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """One part in the tree. size_bytes: of its content, decoded; of a container as it stands."""

    number: str
    depth: int
    type: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Text:
    """A part that can be read. is_html: whether it is the text of HTML, whose links stand in brackets."""

    number: str
    is_html: bool
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is attached, not opened. sha256: of its content, decoded."""

    number: str
    name: str
    type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class MailView:
    """left_out: what is not shown, in words."""

    fields: tuple[Field, ...]
    tree: tuple[Branch, ...]
    texts: tuple[Text, ...]
    attachments: tuple[Attachment, ...]
    left_out: tuple[str, ...]


def view_of(message: bytes) -> MailView:
    """Return what a message holds."""
    parts, is_cut = parts_of(message)
    left_out = ["some parts: there are too many, or they stand too deep in each other"] if is_cut else []
    tree: list[Branch] = []
    texts: list[Text] = []
    attachments: list[Attachment] = []
    unread = 0
    for part in parts:
        if part.is_container:
            tree.append(Branch(part.number, part.depth, part.type, part.name, part.end - part.start))
            continue
        content = content_of(message, part)
        tree.append(Branch(part.number, part.depth, part.type, part.name, len(content)))
        if _is_text(part) and len(texts) == _TEXTS:
            unread += 1
        elif _is_text(part):
            texts.append(_text(part, content))
        else:
            digest = hashlib.sha256(content).hexdigest()
            attachments.append(Attachment(part.number, part.name, part.type, len(content), digest))
    if unread:
        left_out.append(f"{unread} more texts")
    fields = parts[0].fields
    if len(fields) > _FIELDS:
        left_out.append(f"{len(fields) - _FIELDS} more header fields")
    return MailView(
        tuple(_field(name, value) for name, value in fields[:_FIELDS]),
        tuple(tree),
        tuple(texts),
        tuple(attachments),
        tuple(left_out),
    )


def content_of(message: bytes, part: Part, limit: int | None = None) -> bytes:
    """Return a part's content, decoded; as it stands where its encoding is none. limit: octets before decoding."""
    body = message[part.start : part.end if limit is None else min(part.end, part.start + limit)]
    try:
        if part.encoding == "base64":
            return binascii.a2b_base64(body)
        if part.encoding == "quoted-printable":
            return binascii.a2b_qp(body)
    except binascii.Error:
        return body
    return body


def _is_text(part: Part) -> bool:
    is_readable = part.type in ("text/plain", "text/html") or (part.type.startswith("text/") and not part.name)
    return is_readable and part.disposition != "attachment"


def _text(part: Part, content: bytes) -> Text:
    text = decoded(content[:_TEXT_BYTES], part.charset or "utf-8")
    is_html = part.type == "text/html"
    if is_html:
        text = text_of_html(text)
    lines = text[:_SHOWN].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    shown = "\n".join(line if len(line) <= _LINE else f"{line[:_LINE]} …" for line in lines)
    is_cut = len(content) > _TEXT_BYTES or len(text) > _SHOWN
    return Text(part.number, is_html, shown, is_cut)


def _field(name: str, value: bytes) -> Field:
    raw = value.decode("utf-8", "replace")
    shown = readable_words(value)
    return Field(name, _short(shown), "" if shown == raw else _short(raw))


def _short(text: str) -> str:
    return text if len(text) <= _VALUE else f"{text[:_VALUE]} …"
