"""The check `spf`: whether the client may use the domain of MAIL FROM, and the name of its HELO (RFC 7208). PURE.

Output: a finding of MAIL FROM, and one of HELO where that fails, each with rules of its own.
"""

from services.content.finding import Finding
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfResults, SpfWord
from shared.verdict import CheckName

# The words that are keys of [checks.spf] by themselves.
_RULES = frozenset({SpfWord.FAIL, SpfWord.SOFTFAIL, SpfWord.NEUTRAL, SpfWord.NONE, SpfWord.PERMERROR})
_IDENTITIES = {SpfIdentity.MAIL_FROM: "MAIL FROM", SpfIdentity.HELO: "HELO"}


def spf_finding(results: SpfResults, address: str, *, matters: bool) -> Finding:
    """Return MAIL FROM's result as a finding.

    matters: whether the policy acts upon SPF alone; then not knowing defers. address: the client's.
    """
    result = results.mail_from
    rule = result.word.value if result.word in _RULES else ""
    return _finding(result, address, result.word.value, rule, matters=matters)


def helo_finding(results: SpfResults, address: str, *, matters: bool) -> Finding | None:
    """Return a finding where the client may not use its HELO name, or where nobody knows and it matters, else None.

    With the null sender MAIL FROM is the HELO name, which then has both findings: the policy has a rule for each.
    """
    result = results.of_helo
    if result is not None and result.word is SpfWord.FAIL:
        return _finding(result, address, "helo_fail", "helo_fail", matters=matters)
    # Where it is MAIL FROM too, that finding says it already.
    if results.helo is not None and results.helo.word is SpfWord.TEMPERROR and matters:
        return _finding(results.helo, address, "helo_temperror", "", matters=matters)
    return None


def _finding(result: SpfResult, address: str, word: str, rule: str, *, matters: bool) -> Finding:
    explanation = f' (the domain says: "{result.explanation}")' if result.explanation else ""
    return Finding(
        CheckName.SPF,
        word,
        f"{result.evidence}{explanation}.",
        rule,
        unsure=result.word is SpfWord.TEMPERROR and matters,
        input=f"client {address}, {_IDENTITIES[result.identity]} {result.domain or 'without a domain'}",
        change=_change(result, address),
    )


def _change(result: SpfResult, address: str) -> str:
    match result.word:
        case SpfWord.FAIL | SpfWord.SOFTFAIL | SpfWord.NEUTRAL | SpfWord.NONE:
            return f"an SPF record of {result.domain or 'the domain of MAIL FROM'} that allows {address}"
        case SpfWord.PERMERROR:
            return f"an SPF record of {result.domain} without errors"
        case SpfWord.TEMPERROR:
            return f"an answer of the nameservers of {result.domain}, or of those that its SPF record names"
        case _:
            return ""
