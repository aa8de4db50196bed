"""The bytes that antivirus engines look at (PURE).

Owns: `Sample`. Our edge's own trace fields (services/edge/trace.py) are different for each copy of a message; they are
left out, so that the same mail to many is known as the same by the result cache and by clamd's own. A constant field
takes their place, because ClamAV knows a mail by how its first line begins, and only takes apart what it knows as one.
On failure: none; a message without our fields is looked at as it stands.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property

_PLACE = b"Received: by Gatepost\r\n"
# Both fields, with the same id; only the topmost ones can be ours. All of it is bounded, and so is the cost.
_OURS = re.compile(
    rb"Received: from [^\r\n]{1,1024}\r\n\tby [^\r\n ]{1,255} \(Gatepost\) with [A-Z0-9]{4,12} id ([0-9a-z]{26})"
    rb"(?![0-9a-z])(?:\r\n[ \t]|[^\r\n]){0,2048}\r\n(?![ \t])"
    rb"(?:X-Gatepost-Seen: \1(?:\r\n\t[0-9a-f ]{1,128}){0,2048}\r\n(?![ \t]))?"
)
_PIECE_BYTES = 262_144


class Sample:
    """What is scanned of one message. size: of the message itself. parts: all bytes, in two."""

    def __init__(self, data: bytes) -> None:
        ours = _OURS.match(data)
        place = _PLACE if ours else b""
        rest = memoryview(data)[ours.end() if ours else 0 :]
        self.size = len(rest)
        self.parts = (place, rest)

    @property
    def size_sent(self) -> int:
        """How many bytes there are in all."""
        return len(self.parts[0]) + self.size

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 of what is scanned. A large message's takes a while: for a thread."""
        digest = hashlib.sha256(self.parts[0])
        digest.update(self.parts[1])
        return digest.digest()

    def pieces(self) -> Iterator[memoryview]:
        """Return all bytes in pieces of moderate size."""
        place, rest = self.parts
        if place:
            yield memoryview(place)
        for start in range(0, self.size, _PIECE_BYTES):
            yield rest[start : start + _PIECE_BYTES]
