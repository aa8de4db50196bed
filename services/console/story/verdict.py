"""A verdict's record in sentences (PURE), for the trace, for its end in short, and for `gatepost quarantine show`.

Input: a verdict's facts, as shared.verdict.verdict_facts makes them. What is missing is left out.
"""

from collections.abc import Sequence

from services.console.story.told import Facts, clause, number, tables, word, words
from shared.verdict import points

MEANINGS = {
    "accept": "accept (deliver it)",
    "tag": "tag (deliver it, marked)",
    "quarantine": "quarantine (hold it back for an administrator)",
    "refuse": "refuse (5xx while the session is open, quarantine afterwards)",
    "defer": "defer (4xx while the session is open, examine again afterwards)",
}
_DONE = {
    "accept": "delivered",
    "tag": "delivered with a mark",
    "quarantine": "held in quarantine",
    "refuse": "refused",
    "defer": "put off",
}
HOLDING = ("refuse", "defer", "quarantine")


def verdict_lines(verdict: Facts) -> list[str]:
    """Return the whole record of one verdict, the decisive reason first; what belongs to a line is set in below it."""
    reasons = tables(verdict, "reasons")
    objections = [reason for reason in reasons if _asks(reason) != "accept"]
    exempt = [reason for reason in reasons if _asks(reason) == "accept" and reason.get("exemption")]
    accepted = [reason for reason in reasons if _asks(reason) == "accept" and not reason.get("exemption")]
    lines = [line for place, reason in enumerate(objections) for line in _objection(reason, decisive=place == 0)]
    lines += [line for reason in exempt for line in _exempt(reason)]
    if accepted:
        lines.append(f"no objection by {', '.join(map(_accepted, accepted))}")
    return [*lines, *_changes_of_the_message(verdict)]


def rule_of(reason: Facts) -> str:
    """Return the policy's line behind a reason as an administrator types it; empty where no rule chose the action."""
    rule = word(reason, "rule", "")
    if not rule:
        return ""
    table, _, key = rule.rpartition(".")
    return f"[{table}] {key}{_value(reason)}"


def decided(reason: Facts) -> str:
    """Return what a check saw, and what became of the message: `a score of 17.2 reaches 15, so it is refused`."""
    asks = _asks(reason)
    return f"{_seen(reason)}, so the message is {_DONE.get(asks, asks)}"


def is_unsure(reason: Facts) -> bool:
    """Whether the check came to no result, which is put off without any rule of the policy."""
    return _asks(reason) == "defer" and not reason.get("rule")


def parts_taken_out(verdict: Facts) -> str:
    """Return which parts were taken out of the delivered message, empty for none: `MIME part 2`."""
    numbers = verdict.get("strip")
    if not isinstance(numbers, list | tuple) or not numbers:
        return ""
    return f"MIME part{'s' if len(numbers) > 1 else ''} {words(verdict, 'strip')}"


def also_holding(reasons: Sequence[Facts]) -> list[Facts]:
    """Return the reasons behind the decisive one that would have held the message back by themselves."""
    return [reason for reason in reasons[1:] if _asks(reason) in HOLDING]


def exempted(reasons: Sequence[Facts]) -> list[Facts]:
    """Return the reasons that an exemption, or a release, has let the message past."""
    return [reason for reason in reasons if reason.get("exemption")]


def _seen(reason: Facts) -> str:
    score, threshold = number(reason, "score"), number(reason, "threshold")
    if score is not None and threshold is not None:
        return f"a score of {points(score)} reaches {points(threshold)}"
    if is_unsure(reason):
        return f"it came to no result ({word(reason, 'result')})"
    return f"the check {word(reason, 'check')} says {word(reason, 'result')}"


def _value(reason: Facts) -> str:
    threshold, asks = number(reason, "threshold"), _asks(reason)
    if threshold is not None:
        return f" = {points(threshold)}"
    # "strip" stands in the verdict as a tag, or as a quarantine where parts cannot be taken out for sure.
    is_sure = word(reason, "check") != "attachments" or asks in ("refuse", "defer")
    return f' = "{asks}"' if is_sure and not reason.get("exemption") else ""


def _asks(reason: Facts) -> str:
    return word(reason, "action")


def _objection(reason: Facts, *, decisive: bool) -> list[str]:
    rule = rule_of(reason) or f"the check {word(reason, 'check')}"
    anyway = ", whatever the policy says" if is_unsure(reason) else ""
    if decisive:
        return [f"decided by {rule}: {decided(reason)}{anyway}", *_behind(reason)]
    return [f"also {rule}: {_seen(reason)}, which asks for {_asks(reason)}{anyway}", *_behind(reason)]


def _exempt(reason: Facts) -> list[str]:
    rule = rule_of(reason) or f"the check {word(reason, 'check')}"
    seen = f"{word(reason, 'check')}={word(reason, 'result')}"
    return [f"exempt from {rule} ({clause(reason, 'exemption')}): {seen}", *_behind(reason)]


def _behind(reason: Facts) -> list[str]:
    lines = [f"  evidence: {word(reason, 'evidence', 'none noted')}"]
    if reason.get("input"):
        lines.append(f"  examined: {word(reason, 'input')}")
    if reason.get("change"):
        lines.append(f"  what would have changed it: {clause(reason, 'change')}")
    return lines


def _accepted(reason: Facts) -> str:
    seen = f"{word(reason, 'check')}={word(reason, 'result')}"
    score, threshold = number(reason, "score"), number(reason, "threshold")
    if score is not None:
        below = f", the lowest threshold is {points(threshold)}" if threshold is not None else ""
        return f"{seen} (score {points(score)}{below})"
    rule = rule_of(reason)
    return f"{seen} (accepted by {rule})" if rule else seen


def _changes_of_the_message(verdict: Facts) -> list[str]:
    lines = []
    if parts := parts_taken_out(verdict):
        lines.append(f"taken out before delivery: {parts}; the whole message is held in quarantine")
    if verdict.get("subject_tag"):
        lines.append(f'put before the subject: "{word(verdict, "subject_tag")}"')
    return lines
