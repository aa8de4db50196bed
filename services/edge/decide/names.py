"""What comes of a client by its name and its standing on DNS lists (PURE). Told at RCPT.

Standards: RFC 7372 §3.3 (X.7.25, no validated name), RFC 5782.
On failure: what could not be found out refuses nobody.
"""

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.lookups.facts import ListFindings
from shared.auth.iprev import ReverseResult
from shared.policy import Policy
from shared.policy.names import DnsListRules, NameAction, ReverseRules

_NO_NAME = "Your address has no name that leads back to it"
_NAMELESS = {
    # RFC 7372 §3.3: X.7.25, the address failed a reverse DNS validation.
    NameAction.DEFER: refuse(RefusalReason.NO_NAME, 450, "4.7.25", _NO_NAME),
    NameAction.DENY: refuse(RefusalReason.NO_NAME, 550, "5.7.25", _NO_NAME),
}


def judge_names(policy: Policy, reverse: ReverseResult | None, findings: ListFindings | None) -> Refusal | None:
    """Return why a client is refused by either, a refusal for good before one for now. None: nobody asked."""
    refusals = (
        judge_lists(policy.dns_lists, findings) if findings else None,
        judge_name(policy.reverse, reverse) if reverse else None,
    )
    return max(filter(None, refusals), key=lambda refusal: refusal.reply.permanent, default=None)


def judge_name(rules: ReverseRules, result: ReverseResult) -> Refusal | None:
    """Return why a client without a confirmed name is refused."""
    return _NAMELESS.get(rules.missing) if rules.enabled and result.name == "" else None


def judge_lists(rules: DnsListRules, findings: ListFindings) -> Refusal | None:
    """Return why a client is refused by its score; the reply names the list that weighs most."""
    heaviest = findings.heaviest
    if heaviest is None or findings.score < acts_from(rules):
        return None
    reason = f": {heaviest.text}" if heaviest.text else ""
    text = f"Your address is listed by {heaviest.zone}{reason}"
    if findings.score >= rules.refuse_at:
        return refuse(RefusalReason.DNS_LISTED, 550, "5.7.1", text)
    return refuse(RefusalReason.DNS_LISTED, 450, "4.7.1", text)


def acts_from(rules: DnsListRules) -> int:
    """Return the score from which on something comes of it."""
    return rules.refuse_at if rules.defer_at is None else min(rules.refuse_at, rules.defer_at)
