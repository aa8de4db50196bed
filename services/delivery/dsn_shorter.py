"""A notice of ours that bears a whole message, made shorter (PURE): it bears the header of that message alone.

Input: the envelope and the octets of a DSN as dsn.py wrote it. Output: both anew, or None where nothing can be left
out. Standards: RFC 6522 §3 (third part: a message or its header), RFC 3461 §4.3: RET=FULL asks for the whole message,
but the sender is better told with less of it than not at all.
"""

import re
from dataclasses import replace

from services.delivery.dsn import header_of, part
from shared.envelope import Body, Envelope

_BOUNDARY = re.compile(rb'\r\nContent-Type: multipart/report;[^\r\n]*\r\n boundary="(=_[a-z0-9]+)"\r\n')
_KINDS = {
    b"Content-Type: message/rfc822": "text/rfc822-headers",
    # RFC 6533 §4: the internationalized forms.
    b"Content-Type: message/global": "message/global-headers",
}


def with_header_alone(envelope: Envelope, notice: bytes) -> tuple[Envelope, bytes] | None:
    """Return a notice with less of the message that it is about."""
    found = _BOUNDARY.search(header_of(notice))
    if found is None:
        return None
    mark = b"--" + found[1]
    end = mark + b"--\r\n"
    # The boundary holds an id that nobody could know when the message was written.
    before, _, last = notice.removesuffix(end).rpartition(mark + b"\r\n")
    kind = _KINDS.get(last.partition(b"\r\n")[0])
    if kind is None or not notice.endswith(end):
        return None
    original = last.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    shorter = before + part(found[1].decode(), kind, header_of(original)) + end
    body = Body.SEVEN_BIT if shorter.isascii() else Body.EIGHT_BIT
    return replace(envelope, size_bytes=len(shorter), body=body), shorter
