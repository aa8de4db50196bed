"""What a DMARC result comes to, where sealers whom the policy trusts may vouch for the message (PURE).

Standards: RFC 8617 §7.2: ARC may inform a receiver's own decision about a DMARC failure, and no more.
"""

from dataclasses import replace

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.finding import Finding
from services.content.rulebook import Rules
from services.content.weigh.plain import weigh_plain
from services.content.weigh.weighed import Weighed
from shared.verdict import Action, Reason


def weigh_dmarc(finding: Finding, arc: ArcResult | None, rules: Rules) -> list[Weighed]:
    """Return what the finding comes to. arc: what the chain says, None where there is none."""
    [weighed] = weigh_plain(finding, rules.checks.dmarc, f"{rules.scope}.dmarc")
    reason = weighed.reason
    trusted = rules.checks.arc.trusted_sealers if rules.checks.arc.enabled else []
    if not trusted or arc is None or finding.result != "fail" or reason.action is Action.ACCEPT:
        return [weighed]
    if arc.word is ArcWord.TEMPERROR and reason.action in (Action.REFUSE, Action.QUARANTINE):
        return [_not_known_yet(reason, arc)]
    if not _vouches(arc, trusted):
        return [weighed]
    vouched = replace(
        reason,
        action=rules.checks.arc.trusted,
        rule=f"{rules.scope}.arc.trusted",
        evidence=f"{reason.evidence} But {', '.join(arc.sealers)}, whom the policy trusts, sealed (ARC) that DMARC had "
        "passed there.",
        change="" if rules.checks.arc.trusted is Action.ACCEPT else reason.change,
    )
    return [Weighed(vouched)]


def _not_known_yet(reason: Reason, arc: ArcResult) -> Weighed:
    """Put off what a trusted sealer may vouch for once DNS answers: a temporary error is never a refusal."""
    evidence = f"{reason.evidence} Whether a sealer whom the policy trusts vouches for it is not known: {arc.evidence}."
    change = "an answer of the nameservers of those who sealed it"
    return Weighed(replace(reason, result="temperror", action=Action.DEFER, rule="", evidence=evidence, change=change))


def _vouches(arc: ArcResult, trusted: list[str]) -> bool:
    # One sealer who is not trusted may have written anything into the message that the next one sealed.
    return (
        arc.word is ArcWord.PASS
        and arc.dmarc_passed
        and bool(arc.sealers)
        and all(sealer in trusted for sealer in arc.sealers)
    )
