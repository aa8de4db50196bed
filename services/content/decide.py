"""From findings and policy to a verdict with ordered reasons (PURE).

Input: findings of all checks, the rules of each recipient domain. Output: a verdict per recipient domain; and what the
client is told of them.
What is unsure defers. It never accepts, and it does not hide a certain refusal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from services.content.auth.arc_result import ArcResult
from services.content.finding import Finding
from services.content.rulebook import RuleBook, Rules
from services.content.weigh.antispam import weigh_antispam
from services.content.weigh.attachments import weigh_attachments
from services.content.weigh.dmarc import weigh_dmarc
from services.content.weigh.plain import weigh_plain
from services.content.weigh.weighed import Weighed
from shared.envelope import Envelope
from shared.policy import Policy
from shared.policy.exemption import Exemption, Mail
from shared.verdict import PRECEDENCE, Action, CheckName, Verdict, without

# What these say by themselves matters only where the policy acts upon it.
_BY_THEMSELVES = frozenset({CheckName.SPF, CheckName.DKIM, CheckName.ARC, CheckName.IPREV})


def decide(findings: Sequence[Finding], book: RuleBook, envelope: Envelope, mail: Mail) -> dict[str, Verdict]:
    """Return the verdict for each recipient domain, its decisive reason first. mail: what exemptions ask of it."""
    return {
        domain: _verdict(findings, book, rules, _exemptions(book.policy, mail, domain), envelope)
        for domain, rules in sorted(book.rules(envelope).items())
    }


def common_verdict(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return what the client is told: the verdict if all domains' answers agree, else an acceptance.

    DESIGN §4: with mixed verdicts the answer is 250, and the refused domains' copies go to quarantine.
    """
    answers = list(verdicts.values())
    classes = {_answer_class(verdict.action) for verdict in answers}
    return answers[0] if len(classes) == 1 else Verdict(Action.ACCEPT, (), answers[0].policy_version)


def _answer_class(action: Action) -> Action:
    return action if action in (Action.REFUSE, Action.DEFER) else Action.ACCEPT


def _verdict(
    findings: Sequence[Finding], book: RuleBook, rules: Rules, exemptions: Sequence[Exemption], envelope: Envelope
) -> Verdict:
    weighed = [
        _exempted(one, exemptions)
        for finding in findings
        if finding.check is CheckName.BRAKE or rules.of(finding.check).enabled
        for one in _placed(_weigh(finding, findings, rules, book.policy), rules)
    ]
    weighed.sort(key=lambda one: PRECEDENCE.index(one.reason.action))
    action = weighed[0].reason.action if weighed else Action.ACCEPT
    verdict = Verdict(
        action,
        tuple(one.reason for one in weighed),
        book.version,
        strip=tuple(sorted({number for one in weighed for number in one.strip})),
        subject_tag=next((one.subject_tag for one in weighed if one.subject_tag), ""),
    )
    return without(verdict, envelope.bypass, envelope.released_by) if envelope.bypass else verdict


def _weigh(finding: Finding, findings: Sequence[Finding], rules: Rules, policy: Policy) -> list[Weighed]:
    if finding.unsure and finding.check in _BY_THEMSELVES and finding.check not in rules.acting:
        # Another recipient's domain acts upon it; this one would take it whatever came of it.
        finding = replace(finding, unsure=False)
    match finding.check:
        case CheckName.BRAKE:
            return weigh_plain(finding, policy.brake, "brake")
        case _ if finding.unsure:
            return weigh_plain(finding, rules.of(finding.check), "")
        case CheckName.ANTISPAM:
            return weigh_antispam(finding, rules.checks.antispam, rules.scope)
        case CheckName.ATTACHMENTS:
            return weigh_attachments(finding, rules.checks.attachments, rules.scope)
        case CheckName.DMARC:
            return weigh_dmarc(finding, _arc(findings), rules)
        case _:
            return weigh_plain(finding, rules.of(finding.check), f"{rules.scope}.{finding.check}")


def _placed(weighed: Sequence[Weighed], rules: Rules) -> list[Weighed]:
    """Name each rule where it stands in the policy, which may be further out than the table that was weighed by."""
    return [
        replace(one, reason=replace(one.reason, rule=_path(one.reason.rule, rules))) if one.reason.rule else one
        for one in weighed
    ]


def _path(rule: str, rules: Rules) -> str:
    table, _, key = rule.rpartition(".")
    check = table.rpartition(".")[2]
    # The brake has a table of its own.
    return rule if check == CheckName.BRAKE else rules.path(CheckName(check), key)


def _arc(findings: Iterable[Finding]) -> ArcResult | None:
    return next((one.detail for one in findings if isinstance(one.detail, ArcResult)), None)


def _exemptions(policy: Policy, mail: Mail, domain: str) -> list[Exemption]:
    return [exemption for exemption in policy.exemptions if exemption.fits(mail, domain)]


def _exempted(weighed: Weighed, exemptions: Sequence[Exemption]) -> Weighed:
    reason = weighed.reason
    if reason.action is Action.ACCEPT and not weighed.strip:
        return weighed
    found = next((exemption for exemption in exemptions if reason.check in exemption.checks), None)
    if found is None:
        return weighed
    exempt = f"{found.name}: {found.reason}"
    return Weighed(replace(reason, action=Action.ACCEPT, change="", exemption=exempt))
