"""What a message's size and octets mean (PURE)."""

from services.edge.data import LONGEST_LINE, Flaw
from services.edge.decide.refusal import Refusal, RefusalReason, refuse

_TOO_LARGE = refuse(RefusalReason.MESSAGE_TOO_LARGE, 552, "5.3.4", "Message size exceeds fixed maximum message size")
_NO_ROOM = refuse(RefusalReason.NO_ROOM, 452, "4.3.1", "Insufficient system storage, try again later")
_FLAWS = {
    Flaw.TOO_LARGE: _TOO_LARGE,
    Flaw.NO_ROOM: _NO_ROOM,
    Flaw.BARE_LINE_END: refuse(
        RefusalReason.BARE_LINE_END, 554, "5.6.0", "Message refused: CR or LF that does not stand in CRLF"
    ),
    Flaw.LONG_LINE: refuse(
        RefusalReason.LONG_LINE, 554, "5.6.0", f"Message refused: a line of more than {LONGEST_LINE} octets"
    ),
    Flaw.NUL: refuse(RefusalReason.NUL, 554, "5.6.0", "Message refused: NUL octet"),
}


def judge_declared_size(declared: int, limit: int, room: int) -> Refusal | None:
    """Return why a message of the declared size need not be sent at all, or None. room: what the budget has left."""
    # RFC 1870 §6.1: 552 for what is never taken, 452 for what is not taken now.
    if declared > limit:
        return _TOO_LARGE
    if declared > room:
        return _NO_ROOM
    return None


def refusal_of(flaw: Flaw) -> Refusal:
    """Return the refusal that a flaw comes to."""
    return _FLAWS[flaw]
