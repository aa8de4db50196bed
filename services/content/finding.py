"""What a check saw (PURE).

A finding reports; the policy chooses what it means. `rule` names the key in the check's policy table that applies.
"""

from dataclasses import dataclass

from pydantic import JsonValue

from services.content.auth.arc_result import ArcResult
from services.content.mime.inspection import Inspection
from services.content.spam import SpamReport
from shared.verdict import CheckName


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's report. result: the check's own word. evidence: a plain sentence, safe to show.

    rule: key of the check's policy table (`infected`, `fail`), or empty where there is nothing to act upon.
    unsure: the engine or DNS gave no answer, so that nobody may say what the message is.
    input: what was examined. change: what would have changed the result, a plain sentence; both safe to show.
    detail: what the policy of each domain weighs by itself: scores, attachments, sealers.
    """

    check: CheckName
    result: str
    evidence: str
    rule: str = ""
    unsure: bool = False
    input: str = ""
    change: str = ""
    detail: SpamReport | Inspection | ArcResult | None = None


def finding_facts(finding: Finding) -> dict[str, JsonValue]:
    """Return a finding as an event, or the answer to a trial, tells it."""
    return {
        "check": finding.check.value,
        "result": finding.result,
        "evidence": finding.evidence,
        "input": finding.input,
    }


def unsure(check: CheckName, result: str, evidence: str) -> Finding:
    """Return the finding of a check that came to no result."""
    return Finding(check, result, evidence, unsure=True)
