"""What a DMARC result comes to, where sealers whom the policy trusts may vouch for the message (PURE).

Standards: RFC 8617 §7.2: ARC may inform a receiver's own decision about a DMARC failure, and no more.
"""

from dataclasses import replace

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.finding import Finding
from services.content.rulebook import Rules
from services.content.weigh.plain import weigh_plain
from services.content.weigh.weighed import Weighed
from shared.verdict import Action, CheckName


def weigh_dmarc(finding: Finding, arc: ArcResult | None, rules: Rules) -> list[Weighed]:
    """Return what the finding comes to. arc: what the chain says, None where there is none."""
    [weighed] = weigh_plain(finding, rules.checks.dmarc, f"{rules.scopes[CheckName.DMARC]}.dmarc")
    reason = weighed.reason
    softened = rules.checks.arc.enabled and finding.result == "fail" and reason.action is not Action.ACCEPT
    if not softened or arc is None or not _vouches(arc, rules.checks.arc.trusted_sealers):
        return [weighed]
    vouched = replace(
        reason,
        action=rules.checks.arc.trusted,
        rule=f"{rules.scopes[CheckName.ARC]}.arc.trusted",
        evidence=f"{reason.evidence} But {', '.join(arc.sealers)}, whom the policy trusts, sealed that it had passed.",
        change="" if rules.checks.arc.trusted is Action.ACCEPT else reason.change,
    )
    return [Weighed(vouched)]


def _vouches(arc: ArcResult, trusted: list[str]) -> bool:
    # One sealer who is not trusted may have written anything into the message that the next one sealed.
    return (
        arc.word is ArcWord.PASS
        and arc.dmarc_passed
        and bool(arc.sealers)
        and all(sealer in trusted for sealer in arc.sealers)
    )
