"""The walk over all that a message holds: its parts, what they decode to, and what is packed in them (PURE).

Input: a message, and an opener for containers. Output: `Inspection`. Without an opener containers stay closed, and
`needs_opener` says whether there are any. Where clients read the message differently, every reading is examined, or
the fault `ambiguous` reported.
Standards: RFC 2045, RFC 2046, RFC 2047, RFC 2183, RFC 2231, RFC 6532.
On failure: never raises. The work is bounded by a multiple of the message's size, and by the opener's budget; beyond
it the walk stops, with a fault.
"""

from services.content.mime.fields import header_of
from services.content.mime.files import look_at
from services.content.mime.gathering import Gathering, Letter
from services.content.mime.inspection import Inspection
from services.content.mime.opener import CONTAINER_KINDS, Opener
from services.content.mime.parts import read_letter, with_line_ends
from shared.auth.message import Field, Message


def inspect(message: Message, opener: Opener | None = None) -> Inspection:
    """Return all that a message holds. opener: of this message alone; None leaves containers closed."""
    gathering = Gathering.of(len(message.body))
    gathering.letters.append(_own(message))
    depth = opener.budget.depth if opener is not None else 0
    while gathering.letters or gathering.files:
        if gathering.files:
            look_at(gathering.files.pop(), opener, depth, gathering)
        else:
            read_letter(gathering.letters.pop(), gathering)
    return gathering.inspection()


def _has_lone_line_end(field: Field) -> bool:
    value = field.value
    return (b"\n" in value or b"\r" in value) and not value.count(b"\n") == value.count(b"\r") == value.count(b"\r\n")


def needs_opener(inspection: Inspection) -> bool:
    """Whether an inspection without an opener left containers closed."""
    return any(attachment.kind in CONTAINER_KINDS for attachment in inspection.attachments)


def _own(message: Message) -> Letter:
    header = header_of(message)
    body = message.body
    # Edge refuses both; this is for whatever else may bring a message here.
    if body.count(b"\n") != body.count(b"\r") or any(map(_has_lone_line_end, message.fields)):
        header.ambiguous("it has lone carriage returns or line feeds")
        body = with_line_ends(body)
    if b"\0" in body:
        header.ambiguous("it has zero octets, at which some clients end")
    return Letter(header, body)
