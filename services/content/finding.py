"""What a check saw (PURE).

A finding reports; the policy chooses what it means. `rule` names the key in the check's policy table that applies.
"""

from dataclasses import dataclass

from shared.verdict import CheckName


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's report. result: the check's own word. evidence: a plain sentence, safe to show.

    rule: key of the check's policy table (`infected`, `fail`), or empty where there is nothing to act upon.
    unsure: the engine or DNS gave no answer, so that nobody may say what the message is.
    """

    check: CheckName
    result: str
    evidence: str
    rule: str = ""
    unsure: bool = False


def unsure(check: CheckName, result: str, evidence: str) -> Finding:
    """Return the finding of a check that came to no result."""
    return Finding(check, result, evidence, unsure=True)
