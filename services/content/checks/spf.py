"""The check `spf`: whether the client may use the domain of MAIL FROM (RFC 7208). PURE."""

from services.content.finding import Finding, unsure
from shared.auth.spf_result import SpfResult, SpfWord
from shared.verdict import CheckName

_RULES = {SpfWord.FAIL: "fail", SpfWord.SOFTFAIL: "softfail", SpfWord.PERMERROR: "permerror"}


def spf_finding(result: SpfResult, *, matters: bool) -> Finding:
    """Return the result as a finding. matters: whether the policy acts upon SPF alone; then not knowing defers."""
    if result.word is SpfWord.TEMPERROR and matters:
        return unsure(CheckName.SPF, result.word.value, result.evidence)
    explanation = f' (the domain says: "{result.explanation}")' if result.explanation else ""
    return Finding(CheckName.SPF, result.word.value, result.evidence + explanation, _RULES.get(result.word, ""))
