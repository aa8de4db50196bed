"""From findings and policy to a verdict with ordered reasons (PURE).

Input: findings of all checks, the policy. Output: a verdict per recipient domain; and what the client is told of them.
What is unsure defers. It never accepts, and it does not hide a certain refusal.
"""

from collections.abc import Iterable, Mapping, Sequence

from services.content.finding import Finding
from shared.policy import CheckRules, Checks, Policy
from shared.verdict import Action, Reason, Verdict

# Which action decides where several checks ask for different ones. A certain refusal needs no further engine;
# but what no engine could judge is neither stored in quarantine nor let through: it may yet be refused.
_PRECEDENCE = (Action.REFUSE, Action.DEFER, Action.QUARANTINE, Action.TAG, Action.ACCEPT)


def decide(findings: Sequence[Finding], policy: Policy, version: int, domains: Iterable[str]) -> dict[str, Verdict]:
    """Return the verdict for each recipient domain, its decisive reason first."""
    return {domain: _verdict(findings, policy.checks_of(domain), version) for domain in sorted(set(domains))}


def common_verdict(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return what the client is told: the verdict if all domains' answers agree, else an acceptance.

    DESIGN §4: with mixed verdicts the answer is 250, and the refused domains' copies go to quarantine.
    """
    answers = list(verdicts.values())
    classes = {_answer_class(verdict.action) for verdict in answers}
    return answers[0] if len(classes) == 1 else Verdict(Action.ACCEPT, (), answers[0].policy_version)


def _answer_class(action: Action) -> Action:
    return action if action in (Action.REFUSE, Action.DEFER) else Action.ACCEPT


def _verdict(findings: Sequence[Finding], checks: Checks, version: int) -> Verdict:
    reasons = [
        Reason(finding.check, finding.result, _action(finding, rules), finding.evidence)
        for finding in findings
        if (rules := _rules(finding, checks)).enabled
    ]
    reasons.sort(key=lambda reason: _PRECEDENCE.index(reason.action))
    return Verdict(reasons[0].action if reasons else Action.ACCEPT, tuple(reasons), version)


def _rules(finding: Finding, checks: Checks) -> CheckRules:
    rules: CheckRules = getattr(checks, finding.check.value)
    return rules


def _action(finding: Finding, rules: CheckRules) -> Action:
    if finding.unsure:
        return Action.DEFER
    if not finding.rule:
        return Action.ACCEPT
    action: Action = getattr(rules, finding.rule)
    return action
