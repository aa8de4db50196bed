"""What decided, on what evidence, what would have changed it, and who may do what about it (PURE).

Input: the facts of a `judged` event. Output: sentences that a reader understands who knows mail, but not Gatepost.
"""

from collections.abc import Mapping, Sequence

from services.console.story.advice import advice
from services.console.story.told import Facts, clause, show, tables, word
from services.console.story.verdict import HOLDING, also_holding, decided, exempted, is_unsure, parts_taken_out, rule_of
from shared.verdict import CheckName

_OBJECTIONS = ("tag", *HOLDING)
_GROUPS_SHOWN = 10


def decisions(judged: Facts) -> list[str]:
    """Return what decided, once for all recipient domains that share a verdict."""
    verdicts = judged.get("verdicts")
    groups: list[tuple[list[str], Facts]] = []
    for domain, verdict in verdicts.items() if isinstance(verdicts, Mapping) else ():
        if isinstance(verdict, Mapping):
            same = next((domains for domains, other in groups if other == verdict), None)
            same.append(show(domain)) if same is not None else groups.append(([show(domain)], verdict))
    lines = []
    for domains, verdict in groups[:_GROUPS_SHOWN]:
        told = _decision(verdict, word(judged, "policy_version"))
        if told and len(groups) > 1:
            told = [f"For {', '.join(domains[:_GROUPS_SHOWN])}:", *(f"  {line}" for line in told)]
        lines += told
    return lines


def _decision(verdict: Facts, version: str) -> list[str]:
    reasons = tables(verdict, "reasons")
    lines = [_let_past(reason) for reason in exempted(reasons)]
    if verdict.get("action") not in _OBJECTIONS or not reasons:
        return lines
    decisive = reasons[0]
    return [
        _what_decided(decisive, version),
        *_grounds(decisive),
        *_others(reasons),
        *lines,
        *_taken_out(verdict),
        *_what_to_do(decisive, word(verdict, "action")),
    ]


def _what_decided(reason: Facts, version: str) -> str:
    rule = rule_of(reason)
    if rule:
        return f"The rule {rule} (policy version {version}) decided: {decided(reason)}."
    check, result = word(reason, "check"), word(reason, "result")
    if is_unsure(reason):
        return (
            f"The check {check} could not tell what the message is ({result}). Such a message is put off, whatever the "
            f"policy says (policy version {version})."
        )
    return f"The check {check} decided (policy version {version}): {decided(reason)}."


def _grounds(reason: Facts) -> list[str]:
    examined = f" Examined: {clause(reason, 'input')}." if reason.get("input") else ""
    lines = [f"Evidence: {clause(reason, 'evidence', 'none noted')}.{examined}"]
    if reason.get("change"):
        lines.append(f"What would have changed it: {clause(reason, 'change')}.")
    return lines


def _others(reasons: Sequence[Facts]) -> list[str]:
    if word(reasons[0], "action") not in HOLDING:
        return []
    others = [rule_of(reason) or f"the check {word(reason, 'check')}" for reason in also_holding(reasons)]
    return [f"That alone would not have let it through: {', '.join(others)} objected, too."] if others else []


def _let_past(reason: Facts) -> str:
    rule = rule_of(reason) or f"the check {word(reason, 'check')}"
    return f"An exemption let it past {rule}: {clause(reason, 'exemption')}."


def _taken_out(verdict: Facts) -> list[str]:
    parts = parts_taken_out(verdict)
    return [f"Taken out before delivery: {parts}. The whole message is in quarantine."] if parts else []


def _what_to_do(reason: Facts, action: str) -> list[str]:
    check, result = word(reason, "check"), word(reason, "result")
    if is_unsure(reason):
        return ["The sender need not do anything: the mail is tried again until the check can be made."]
    can_do = advice(check, result) if action in HOLDING else ""
    if not can_do:
        return []
    lines = [f"The sender can {can_do}."]
    if check != CheckName.ANTIVIRUS:
        exempt = "exempt such mail from it with an entry in [[exemptions]]"
        lines.append(f"The administrator can change that rule, or {exempt}.")
    return lines
