"""What a hop's replies to a probe say about a recipient (PURE).

Input: the replies to MAIL and RCPT. Output: `Probed`: taken, refused or unknown, with the words that say so.
Standards: RFC 5321 §4.2.2 (codes), RFC 3463 §3.2 and §3.3 (address and mailbox status), RFC 7505.
On failure: whatever is not plainly about the recipient is unknown: a hop that dislikes us, the null sender or the
moment has not said that nobody lives there.
"""

import re
from dataclasses import dataclass

from shared.reply import Reply
from shared.wire_verify import VerifyResult

# RFC 5321 §4.2.2: mailbox unavailable, user not local, mailbox name not allowed.
_ADDRESS_CODES = frozenset({550, 551, 553})
# RFC 3463 §3.2: the destination's address is bad (5.1.7 and 5.1.8 are about the sender's); §3.3: mailbox disabled.
_ADDRESS_STATUS = re.compile(r"5\.1\.(?:0|1|2|3|4|6|10)\Z|5\.2\.1\Z")
# Exchange Online says this, with 550, where its directory does not know the recipient.
_NO_ACCESS = "5.4.1"


@dataclass(frozen=True, slots=True)
class Probed:
    """What is known of a recipient. reply: the hop's words, or why there are none."""

    result: VerifyResult
    reply: str = ""


def unknown(reason: str) -> Probed:
    """Return that nothing is known, and why."""
    return Probed(VerifyResult.UNKNOWN, reason)


def judge_probe(mail: Reply, rcpt: Reply | None) -> Probed:
    """Return what the replies say. rcpt: None where MAIL was refused and nothing more was asked."""
    if not mail.positive or rcpt is None:
        return unknown(f"MAIL: {mail}")
    if rcpt.positive:
        return Probed(VerifyResult.TAKEN, str(rcpt))
    if _says_no_such_recipient(rcpt):
        return Probed(VerifyResult.REFUSED, str(rcpt))
    return unknown(str(rcpt))


def _says_no_such_recipient(reply: Reply) -> bool:
    if not reply.permanent:
        return False
    if reply.enhanced in ("", "5.0.0"):
        return reply.code in _ADDRESS_CODES
    if reply.enhanced == _NO_ACCESS:
        return reply.code == 550
    return bool(_ADDRESS_STATUS.match(reply.enhanced))
