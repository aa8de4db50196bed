"""What content decided about a message, with its reasons (PURE).

Words: a *check* examines, a *finding* is what it saw, a *verdict* is the decision, per recipient domain.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from pydantic import JsonValue

from shared.reply import Reply


class Action(StrEnum):
    """What to do with a message, mildest first."""

    ACCEPT = "accept"
    TAG = "tag"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"
    DEFER = "defer"


# Which action decides where several checks ask for different ones. A certain refusal needs no further engine;
# but what no engine could judge is neither stored in quarantine nor let through: it may yet be refused.
PRECEDENCE = (Action.REFUSE, Action.DEFER, Action.QUARANTINE, Action.TAG, Action.ACCEPT)


class CheckName(StrEnum):
    """The checks of the content stage; the values stand in policy, log, trace and metrics."""

    ANTIVIRUS = "antivirus"
    ANTISPAM = "antispam"
    ATTACHMENTS = "attachments"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    ARC = "arc"
    IPREV = "iprev"
    STRUCTURE = "structure"
    BRAKE = "brake"


@dataclass(frozen=True, slots=True)
class Reason:
    """One ground of a verdict. result: the check's own word (`fail`, `infected`). evidence: a plain sentence.

    rule: the policy's key that chose the action (`checks.antispam.refuse_at`), empty where none applies.
    input: what was examined, such as `client 192.0.2.1, MAIL FROM a.test`. score, threshold: of the antispam engine.
    change: what would have changed the action, a plain sentence. exemption: the name of the one that set it to accept.
    """

    check: CheckName
    result: str
    action: Action
    evidence: str
    rule: str = ""
    input: str = ""
    score: float | None = None
    threshold: float | None = None
    change: str = ""
    exemption: str = ""

    @property
    def key(self) -> str:
        """The rule wherever it stands in the policy: `antispam.refuse_at`, or the check alone where there is none."""
        # The table is not always the check's own: `arc.trusted` says what a DMARC failure means.
        return ".".join(self.rule.split(".")[-2:]) if self.rule else self.check.value


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with its reasons, the decisive one first. policy_version: which policy decided.

    strip: numbers of the MIME parts (`2.1`) that are taken out before delivery. subject_tag: put before the subject.
    Both are only for what is delivered; a release may come to that.
    """

    action: Action
    reasons: tuple[Reason, ...] = ()
    policy_version: int = 0
    strip: tuple[str, ...] = ()
    subject_tag: str = ""


def without(verdict: Verdict, rules: Collection[str], who: str) -> Verdict:
    """Return what a verdict comes to without some rules (`Reason.key`). who: stands beside them as the exemption.

    Parts are still to be taken out unless every rule on attachments that asked for a tag is among them.
    """
    reasons = [_bypassed(reason, who) if reason.key in rules else reason for reason in verdict.reasons]
    reasons.sort(key=lambda reason: PRECEDENCE.index(reason.action))
    action = reasons[0].action if reasons else verdict.action
    cut = any(reason.check is CheckName.ATTACHMENTS and reason.action is Action.TAG for reason in reasons)
    return replace(
        verdict,
        action=action,
        reasons=tuple(reasons),
        strip=verdict.strip if cut else (),
        subject_tag=verdict.subject_tag if action is Action.TAG else "",
    )


def _bypassed(reason: Reason, who: str) -> Reason:
    return replace(reason, action=Action.ACCEPT, change="", exemption=f"released by {who}")


_FACTS = tuple(field.name for field in fields(Reason))


def verdict_facts(verdict: Verdict) -> dict[str, JsonValue]:
    """Return a verdict as an event and the quarantine tell it; what is empty is left out of the reasons."""
    facts: dict[str, JsonValue] = {
        "action": verdict.action.value,
        "reasons": [
            {name: value for name in _FACTS if (value := getattr(reason, name)) not in ("", None)}
            for reason in verdict.reasons
        ],
    }
    if verdict.action is Action.TAG:
        facts |= {"strip": list(verdict.strip)} if verdict.strip else {}
        facts |= {"subject_tag": verdict.subject_tag} if verdict.subject_tag else {}
    return facts


def points(score: float) -> str:
    """Return a score for people: `7.25`, `1000`, never `1e+03` or `-0`."""
    return f"{round(score, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


_REFUSALS = {
    CheckName.ANTIVIRUS: Reply(550, "5.7.1", "Message refused: malware found"),
    CheckName.ANTISPAM: Reply(550, "5.7.1", "Message refused: classified as spam"),
    CheckName.ATTACHMENTS: Reply(550, "5.7.1", "Message refused: an attachment is not allowed"),
    CheckName.SPF: Reply(550, "5.7.23", "Message refused: SPF validation failed"),
    CheckName.DKIM: Reply(550, "5.7.20", "Message refused: no passing DKIM signature found"),
    CheckName.DMARC: Reply(550, "5.7.1", "Message refused: DMARC policy of the author's domain"),
    # RFC 7372 §3.3: the client's address has no confirmed name.
    CheckName.IPREV: Reply(550, "5.7.25", "Message refused: reverse DNS validation failed"),
    CheckName.ARC: Reply(550, "5.7.29", "Message refused: ARC validation failed"),
    CheckName.STRUCTURE: Reply(554, "5.6.0", "Message refused: malformed"),
    CheckName.BRAKE: Reply(550, "5.7.1", "Message refused: this account sent too much spam"),
}
# By check and result, where the check's own reply would send its reader the wrong way.
_REFUSALS_OF_RESULTS = {
    # RFC 7372 §3.2: the record cannot be evaluated.
    (CheckName.SPF, "permerror"): Reply(550, "5.7.24", "Message refused: SPF record with errors"),
    (CheckName.STRUCTURE, "exceeded"): Reply(554, "5.6.0", "Message refused: too many or too large parts"),
    (CheckName.STRUCTURE, "overrun"): Reply(554, "5.6.0", "Message refused: too costly to examine"),
}
# What no check could say; a deferral that the policy asks for is told with the class of its check.
_DEFERRED = Reply(451, "4.7.1", "Message cannot be examined now, try again later")


def reply_to(verdict: Verdict, message_id: str) -> Reply:
    """Return what the client is told of a verdict: the class of the reason and the id, no more.

    Standards: RFC 3463, RFC 7372 (5.7.20, 5.7.23, 5.7.24, 5.7.25), RFC 8617 (5.7.29).
    """
    if verdict.action is Action.DEFER:
        reply = _deferral(verdict.reasons[0]) if verdict.reasons else _DEFERRED
    elif verdict.action is Action.REFUSE:
        reply = _refusal(verdict.reasons[0])
    else:
        return Reply(250, "2.0.0", f"queued as {message_id}")
    return Reply(reply.code, reply.enhanced, f"{reply.text} [{message_id}]")


def _refusal(reason: Reason) -> Reply:
    return _REFUSALS_OF_RESULTS.get((reason.check, reason.result)) or _REFUSALS[reason.check]


def _deferral(reason: Reason) -> Reply:
    """Return the temporary form of a refusal where a rule asks for it, `451 4.7.1 Message deferred: …`."""
    if not reason.rule:
        return _DEFERRED
    refusal = _refusal(reason)
    text = refusal.text.replace("Message refused", "Message deferred")
    return Reply(_DEFERRED.code, f"4{refusal.enhanced[1:]}", text)
