"""What content did, in sentences (PURE)."""

from collections.abc import Mapping

from services.console.story.reasons import put_off, quarantine
from services.console.story.told import Facts, clause, moment, number, show, span, tables, word, words
from services.console.story.verdict import MEANINGS, verdict_lines


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


def dmarc_seen(facts: Facts) -> list[str]:
    """What will stand in an aggregate report; the recorder keeps it apart, so that traces rarely have it."""
    return [f"Noted for the DMARC report to the owner of {word(facts, 'header_from')}: {word(facts, 'disposition')}."]


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


def learned(facts: Facts) -> list[str]:
    """An administrator taught the antispam engine with it."""
    return [f"{word(facts, 'by')} taught the antispam engine that it is {word(facts, 'as')}."]


def retry(facts: Facts) -> list[str]:
    """A message that waits for another try, of content or of delivery."""
    attempts = number(facts, "attempts")
    count = "" if attempts is None else f" (attempt {attempts:.0f} is made)"
    at_hop = f" at {word(facts, 'hop')}" if facts.get("hop") else ""
    kind = f" ({put_off(clause(facts, 'failure'))})" if facts.get("failure") else ""
    return [
        f"Put off{at_hop}{count}{kind}: {clause(facts, 'reason', 'no reason noted')}.",
        f"Next try: {moment(number(facts, 'not_before'))}.",
    ]


def _finding(finding: Facts) -> str:
    seen = f"{word(finding, 'check')}: {word(finding, 'result')}. {word(finding, 'evidence', '')}".rstrip()
    return f"{seen} (examined: {clause(finding, 'input')})" if finding.get("input") else seen


def _seconds(facts: Facts) -> float | None:
    took_ms = number(facts, "took_ms")
    return None if took_ms is None else took_ms / 1000


def _verdict(domain: str, verdict: Facts) -> list[str]:
    action = word(verdict, "action")
    objections = "" if tables(verdict, "reasons") else ", since no check objected"
    return [f"for {domain}: {MEANINGS.get(action, action)}{objections}", *verdict_lines(verdict)]
