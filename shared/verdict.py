"""What content decided about a message, with its reasons (PURE).

Words: a *check* examines, a *finding* is what it saw, a *verdict* is the decision, per recipient domain.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.reply import Reply


class Action(StrEnum):
    """What to do with a message, mildest first."""

    ACCEPT = "accept"
    TAG = "tag"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"
    DEFER = "defer"


class CheckName(StrEnum):
    """The checks of the content stage; the values stand in policy, log, trace and metrics."""

    ANTIVIRUS = "antivirus"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True)
class Reason:
    """One ground of a verdict. result: the check's own word (`fail`, `infected`). evidence: a plain sentence."""

    check: CheckName
    result: str
    action: Action
    evidence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with its reasons, the decisive one first. policy_version: which policy decided."""

    action: Action
    reasons: tuple[Reason, ...] = ()
    policy_version: int = 0


_REFUSALS = {
    CheckName.ANTIVIRUS: Reply(550, "5.7.1", "Message refused: malware found"),
    CheckName.SPF: Reply(550, "5.7.23", "Message refused: SPF validation failed"),
    CheckName.DKIM: Reply(550, "5.7.20", "Message refused: no passing DKIM signature found"),
    CheckName.DMARC: Reply(550, "5.7.1", "Message refused: DMARC policy of the author's domain"),
    CheckName.STRUCTURE: Reply(554, "5.6.0", "Message refused: malformed"),
}
_DEFERRED = Reply(451, "4.7.1", "Message cannot be examined now, try again later")


def reply_to(verdict: Verdict, message_id: str) -> Reply:
    """Return what the client is told of a verdict: the class of the reason and the id, no more.

    Standards: RFC 3463, RFC 7372 (5.7.20, 5.7.23).
    """
    if verdict.action is Action.DEFER:
        return Reply(_DEFERRED.code, _DEFERRED.enhanced, f"{_DEFERRED.text} [{message_id}]")
    if verdict.action is Action.REFUSE:
        refusal = _REFUSALS[verdict.reasons[0].check]
        return Reply(refusal.code, refusal.enhanced, f"{refusal.text} [{message_id}]")
    return Reply(250, "2.0.0", f"queued as {message_id}")
