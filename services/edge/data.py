"""Reading a message's octets within bounds (PURE: fed with pieces of any size).

Owns: `Content`, which keeps the octets within a size and a budget; `DotReader` for DATA, `PieceReader` for BDAT.
Output: the message with CRLF line ends alone, or the `Flaw` for which it cannot be taken. After a flaw nothing is kept,
and the rest is swallowed up to the end, so that the client's next command is found where the standard says it is.
Standards: RFC 5321 §4.1.1.4, §4.5.2 and §4.5.3.1.6 (length of lines), RFC 3030 (BDAT), RFC 1870 §6.
"""

from enum import StrEnum
from typing import Protocol

# Memory is taken from the budget in steps, so that a small message asks once.
STEP_BYTES = 65_536
_END = b"\r\n.\r\n"
# RFC 5321 §4.5.3.1.6: 1000 octets with CRLF, not counting a dot that was stuffed.
LONGEST_LINE = 998


class Flaw(StrEnum):
    """Why a message cannot be taken."""

    TOO_LARGE = "too-large"
    NO_ROOM = "no-room"
    BARE_LINE_END = "bare-cr-or-lf"
    NUL = "nul"
    LONG_LINE = "long-line"


class Budget(Protocol):
    """Octets that all messages of a process share."""

    def reserve(self, octets: int) -> bool:
        """Take octets, or say that there are not enough."""

    def release(self, octets: int) -> None:
        """Give octets back."""


class Content:
    """The octets of one message. head: our own trace fields, which stand first and do not count.

    longest_line: octets that a line may have without its CRLF, or None for any.
    reserved: what it has taken from the budget; a message that is only swallowed gives it back at once.
    """

    def __init__(self, head: bytes, limit: int, budget: Budget, longest_line: int | None = None) -> None:
        self.octets = bytearray(head)
        self.flaw: Flaw | None = None
        self.reserved = 0
        self.head_size = len(head)
        self._limit = limit
        self._budget = budget
        self._longest_line = longest_line
        # Octets of the line that has not ended yet.
        self._begun = 0

    @property
    def size(self) -> int:
        """Octets of the message as received."""
        return len(self.octets) - self.head_size

    def add(self, octets: bytes) -> None:
        """Keep more octets, whose CRLFs are whole, or note the flaw."""
        if self.flaw is not None:
            return
        self.flaw = self._flaw_of(octets)
        if self.flaw is None:
            self.octets += octets
        else:
            self.close()

    def close(self) -> None:
        """Give memory and budget back; may be called again."""
        self._budget.release(self.reserved)
        self.reserved = 0
        self.octets = bytearray()

    def _flaw_of(self, octets: bytes) -> Flaw | None:
        total = len(self.octets) + len(octets)
        if total - self.head_size > self._limit:
            return Flaw.TOO_LARGE
        # RFC 5321 §2.3.8: CR and LF stand together or not at all; a lone one is how messages are smuggled.
        pairs = octets.count(b"\r\n")
        if octets.count(b"\n") != pairs or octets.count(b"\r") != pairs:
            return Flaw.BARE_LINE_END
        if b"\0" in octets:
            return Flaw.NUL
        if self._longest_line is not None and self._has_long_line(octets, self._longest_line):
            return Flaw.LONG_LINE
        if total > self.reserved:
            step = max(STEP_BYTES, total - self.reserved)
            if not self._budget.reserve(step):
                return Flaw.NO_ROOM
            self.reserved += step
        return None

    def _has_long_line(self, octets: bytes, most: int) -> bool:
        """Whether a line is too long, by leaps from line end to line end as far apart as they may be."""
        at, begun = 0, self._begun
        while (end := octets.rfind(b"\r\n", at, at + most - begun + 2)) >= 0:
            at, begun = end + 2, 0
        self._begun = begun + len(octets) - at
        return self._begun > most


class DotReader:
    """DATA: finds the end `CRLF . CRLF` and removes the dots that were stuffed."""

    def __init__(self, content: Content) -> None:
        self._content = content
        # The CRLF of the command line: the end may follow at once. It belongs to nobody's message.
        self._held = b"\r\n"
        self._first = True

    def feed(self, piece: bytes) -> int | None:
        """Take a piece. Returns where in it the rest after the end begins, or None while there is no end."""
        held = self._held
        octets = held + piece
        end = octets.find(_END)
        if end >= 0:
            self._keep(octets[: end + 2])
            return end + len(_END) - len(held)
        cut = len(octets) - _unfinished(octets)
        self._held = octets[cut:]
        if cut:
            self._keep(octets[:cut])
        return None

    def _keep(self, octets: bytes) -> None:
        if self._content.flaw is not None:
            return
        # RFC 5321 §4.5.2: a dot that begins a line is removed.
        octets = octets.replace(b"\r\n.", b"\r\n")
        if self._first:
            self._first = False
            octets = octets[2:]
        self._content.add(octets)


def _unfinished(octets: bytes) -> int:
    """Return how many octets at the end may be the beginning of an end of data (or of a CRLF)."""
    for length in (4, 3, 2, 1):
        if octets.endswith(_END[:length]):
            return length
    return 0


class PieceReader:
    """BDAT: octets as announced. A CR that ends a piece waits for its LF."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._held = b""

    def feed(self, piece: bytes) -> None:
        """Take octets of a chunk."""
        octets = self._held + piece
        self._held = b""
        if octets.endswith(b"\r"):
            self._held = b"\r"
            octets = octets[:-1]
        if octets:
            self._content.add(octets)

    def finish(self) -> None:
        """Take the end of the last chunk."""
        if self._held:
            self._content.add(self._held)
            self._held = b""
        # Sent on with DATA, a message ends with CRLF; DKIM counts one as there (RFC 6376 §3.4.3, §3.4.4).
        if self._content.size and not self._content.octets.endswith(b"\r\n"):
            self._content.add(b"\r\n")
