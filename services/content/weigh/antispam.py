"""What an antispam engine's report comes to by the thresholds of one domain (PURE).

Output: a reason for the highest threshold that the score reaches, and one for what the engine insists on, if anything.
"""

from collections.abc import Iterator

from services.content.finding import Finding
from services.content.spam import Forced, SpamReport
from services.content.weigh.plain import weigh_plain
from services.content.weigh.weighed import Weighed
from shared.policy.checks import AntispamRules
from shared.verdict import Action, Reason, points

# The highest first.
_THRESHOLDS = (("refuse_at", Action.REFUSE), ("quarantine_at", Action.QUARANTINE), ("tag_at", Action.TAG))
_LARGEST = 3


def weigh_antispam(finding: Finding, rules: AntispamRules, scope: str) -> list[Weighed]:
    """Return what the finding comes to. scope: the path of the table of checks, such as `checks`."""
    report = finding.detail
    if finding.unsure or not isinstance(report, SpamReport):
        return weigh_plain(finding, rules, f"{scope}.antispam")
    # Both are told: who lets pass what the engine insists on still reads in the trace that it did.
    return [
        Weighed(reason, subject_tag=rules.subject_tag if reason.action is Action.TAG else "")
        for reason in (_forced(finding, report, rules, scope), _scored(finding, report, rules, scope))
        if reason is not None
    ]


def _forced(finding: Finding, report: SpamReport, rules: AntispamRules, scope: str) -> Reason | None:
    if report.forced is None:
        return None
    action = rules.rejected if report.forced is Forced.REJECT else rules.soft_rejected
    named = ", ".join(symbol.name for symbol in report.symbols[:_LARGEST])
    change = f"a message on which {report.engine} does not insist" + (f"; what matched: {named}" if named else "")
    rule = f"{scope}.antispam.{finding.rule}"
    change = "" if action is Action.ACCEPT else change
    return Reason(
        finding.check, finding.result, action, finding.evidence, rule, finding.input, report.score, change=change
    )


def _scored(finding: Finding, report: SpamReport, rules: AntispamRules, scope: str) -> Reason:
    """Return the reason for the highest threshold reached; where none is, the lowest stands as the threshold."""
    lowest: float | None = None
    # Beside a forced action, the score is a second reason, and not the first one told again.
    evidence = finding.evidence if report.forced is None else f"{report.engine} gave it {points(report.score)}."
    for key, action, threshold in _given(rules):
        if report.score >= threshold:
            return Reason(
                finding.check,
                "scored",
                action,
                evidence,
                f"{scope}.antispam.{key}",
                finding.input,
                report.score,
                threshold,
                _change(report, threshold),
            )
        lowest = threshold
    return Reason(finding.check, "scored", Action.ACCEPT, evidence, "", finding.input, report.score, lowest)


def _given(rules: AntispamRules) -> Iterator[tuple[str, Action, float]]:
    for key, action in _THRESHOLDS:
        threshold = getattr(rules, key)
        if threshold != "never":
            yield key, action, threshold


def _change(report: SpamReport, threshold: float) -> str:
    largest = [symbol for symbol in report.symbols if symbol.score > 0][:_LARGEST]
    below = f"a score below {points(threshold)}"
    if not largest:
        return below
    parts = ", ".join(f"{symbol.name} ({points(symbol.score)})" for symbol in largest)
    return f"{below}; the largest {'parts of it were' if len(largest) > 1 else 'part of it was'} {parts}"
