"""What content did, in sentences (PURE)."""

from collections.abc import Mapping

from services.console.story.reasons import quarantine
from services.console.story.told import Facts, clause, moment, number, show, span, tables, word, words

MEANINGS = {
    "accept": "accept (deliver it)",
    "tag": "tag (deliver it, marked)",
    "quarantine": "quarantine (hold it back for an administrator)",
    "refuse": "refuse (5xx while the session is open, quarantine afterwards)",
    "defer": "defer (4xx while the session is open, examine again afterwards)",
}


def checked(facts: Facts) -> list[str]:
    """What each check saw."""
    findings = tables(facts, "findings")
    if not findings:
        return ["The message was examined; no check had anything to say."]
    return [f"{len(findings)} check{'s' if len(findings) > 1 else ''} examined the message:", *map(_finding, findings)]


def judged(facts: Facts) -> list[str]:
    """What was decided, per recipient domain, with the decisive reason first."""
    version = word(facts, "policy_version")
    verdicts = facts.get("verdicts")
    if not isinstance(verdicts, Mapping) or not verdicts:
        return [f"Policy version {version} decided, but no verdict was noted."]
    lines = [f"Policy version {version} decided in {span(_seconds(facts))}:"]
    for domain, verdict in verdicts.items():
        if isinstance(verdict, Mapping):
            lines += _verdict(show(domain), verdict)
    return lines


def dropped(facts: Facts) -> list[str]:
    """A message that the sender was told to keep."""
    return [f"Gatepost's copy was thrown away: {clause(facts, 'reason')}.", "Nothing is lost: the sender still has it."]


def queued(facts: Facts) -> list[str]:
    """A message handed to the next stage."""
    return [f"Handed to {word(facts, 'to', 'delivery')} for {words(facts, 'recipients')}."]


def quarantined(facts: Facts) -> list[str]:
    """A message that is held back."""
    by = f" by check {word(facts, 'check')}" if facts.get("check") else ""
    return [
        f"Put into quarantine{by} for {words(facts, 'recipients')}: {quarantine(clause(facts, 'reason'))}.",
        f"Evidence: {word(facts, 'evidence', 'none noted')}",
    ]


def retry(facts: Facts) -> list[str]:
    """A message that waits for another try, of content or of delivery."""
    attempts = number(facts, "attempts")
    count = "" if attempts is None else f" (attempt {attempts:.0f} is made)"
    return [
        f"Put off{count}: {clause(facts, 'reason', 'no reason noted')}.",
        f"Next try: {moment(number(facts, 'not_before'))}.",
    ]


def _finding(finding: Facts) -> str:
    seen = f"{word(finding, 'check')}: {word(finding, 'result')}."
    return f"{seen} {word(finding, 'evidence', '')}".rstrip()


def _seconds(facts: Facts) -> float | None:
    took_ms = number(facts, "took_ms")
    return None if took_ms is None else took_ms / 1000


def _verdict(domain: str, verdict: Facts) -> list[str]:
    action = word(verdict, "action")
    reasons = tables(verdict, "reasons")
    lines = [f"for {domain}: {MEANINGS.get(action, action)}" + ("" if reasons else ", since no check objected")]
    for place, reason in enumerate(reasons):
        seen, asks = f"{word(reason, 'check')}={word(reason, 'result')}", word(reason, "action")
        how = "decided by" if place == 0 else "also"
        said = f"no objection by {seen}" if asks == "accept" else f"{how} {seen}, which asks for {asks}"
        lines.append(f"{said}: {word(reason, 'evidence', 'no evidence noted')}")
    return lines
