"""A finding whose rule names its action (PURE)."""

from services.content.finding import Finding
from services.content.weigh.weighed import Weighed
from shared.policy.table import Table
from shared.verdict import Action, Reason


def weigh_plain(finding: Finding, rules: Table, path: str) -> list[Weighed]:
    """Return what a finding comes to by a table of actions. path: the table's, such as `checks.spf`."""
    if finding.unsure:
        # DESIGN §5: unknown means temporary; that is not a choice.
        return [Weighed(_reason(finding, Action.DEFER, "", finding.change or "an answer in time"))]
    if not finding.rule:
        return [Weighed(_reason(finding, Action.ACCEPT, "", ""))]
    action: Action = getattr(rules, finding.rule)
    change = "" if action is Action.ACCEPT else finding.change
    return [Weighed(_reason(finding, action, f"{path}.{finding.rule}", change))]


def _reason(finding: Finding, action: Action, rule: str, change: str) -> Reason:
    return Reason(finding.check, finding.result, action, finding.evidence, rule, finding.input, change=change)
