"""What a client may send without waiting for the answer to what went before (PURE).

Standard: RFC 2920 §3.1.
"""

from services.edge.decide.refusal import Refusal, RefusalReason, refuse

_IMPROPER = refuse(RefusalReason.IMPROPER_PIPELINING, 503, "5.5.0", "Improper use of pipelining, closing the session")
# RFC 2920 §3.1: these are the last of a group, for what comes next depends on the answer. XCLIENT begins anew (220).
_LAST = frozenset((b"EHLO", b"HELO", b"DATA", b"AUTH", b"XCLIENT"))
# RFC 2920 §3.1 has some of these last, too; deliberately lenient, for nothing depends on their answers. What follows
# STARTTLS is discarded.
_HARMLESS = frozenset((b"NOOP", b"RSET", b"VRFY", b"EXPN", b"HELP", b"QUIT", b"STARTTLS"))


def judge_pipelining(command: bytes, *, extended: bool) -> Refusal | None:
    """Return why a command may not be followed by what has come behind it. extended: PIPELINING was offered."""
    if command in _LAST or not (extended or command in _HARMLESS):
        return _IMPROPER
    return None
