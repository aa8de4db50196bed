"""The check `spf`: whether the client may use the domain of MAIL FROM (RFC 7208). I/O through the resolver."""

from services.content.auth.results import SpfResult, SpfWord
from services.content.auth.spf import evaluate_spf
from services.content.finding import Finding, unsure
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.envelope import Envelope
from shared.verdict import CheckName

_RULES = {SpfWord.FAIL: "fail", SpfWord.SOFTFAIL: "softfail", SpfWord.PERMERROR: "permerror"}


async def check_spf(resolver: Resolver, envelope: Envelope, receiver: str) -> SpfResult:
    """Return the SPF result for the envelope's client and sender; DNS that fails is temperror."""
    client, sender = envelope.client, envelope.sender
    return await replay(
        resolver, lambda lookup: evaluate_spf(client.address, sender, client.helo, lookup, receiver=receiver)
    )


def spf_finding(result: SpfResult, *, matters: bool) -> Finding:
    """Return the result as a finding. matters: whether the policy acts upon SPF alone; then not knowing defers."""
    if result.word is SpfWord.TEMPERROR and matters:
        return unsure(CheckName.SPF, result.word.value, result.evidence)
    explanation = f' (the domain says: "{result.explanation}")' if result.explanation else ""
    return Finding(CheckName.SPF, result.word.value, result.evidence + explanation, _RULES.get(result.word, ""))
