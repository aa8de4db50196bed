"""The check `dkim`: what the signatures prove (RFC 6376, RFC 8301, RFC 8463). I/O through the resolver."""

import time
from collections.abc import Sequence

from services.content.auth.digests import BodyDigests
from services.content.auth.dkim import evaluate_dkim
from services.content.auth.results import DkimResult, DkimWord
from services.content.finding import Finding
from shared.auth.message import Message
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.verdict import CheckName

_ORDER = (
    *(DkimWord.PASS, DkimWord.TEMPERROR, DkimWord.FAIL, DkimWord.PERMERROR),
    *(DkimWord.POLICY, DkimWord.NEUTRAL, DkimWord.NONE),
)
# RFC 6376 §6.1: a message whose signatures all fail is treated as one without; the policy may see it otherwise.
_FAILED = (DkimWord.FAIL, DkimWord.PERMERROR, DkimWord.POLICY)


async def check_dkim(resolver: Resolver, message: Message, digests: BodyDigests) -> tuple[DkimResult, ...]:
    """Return a result for each signature; DNS that fails is temperror. digests: of the body, which ARC uses too."""
    now = time.time()
    return await replay(resolver, lambda lookup: evaluate_dkim(message, digests, lookup, now))


def dkim_finding(results: Sequence[DkimResult], *, matters: bool) -> Finding:
    """Return the best signature's result as a finding. matters: whether the policy acts upon DKIM by itself."""
    best = min(results, key=lambda result: _ORDER.index(result.word))
    signer = f"{best.domain}, selector {best.selector}" if best.domain else ""
    rule = "fail" if best.word in _FAILED else "none" if best.word is DkimWord.NONE else ""
    return Finding(
        CheckName.DKIM,
        best.word.value,
        f"{signer}: {best.evidence}." if signer else f"{best.evidence[0].upper()}{best.evidence[1:]}.",
        rule,
        unsure=matters and best.word is DkimWord.TEMPERROR,
        input=_input(results, signer),
        change=f"a DKIM signature{f' of {best.domain}' if best.domain else ''} that holds" if rule else "",
    )


def _input(results: Sequence[DkimResult], signer: str) -> str:
    count = sum(result.word is not DkimWord.NONE for result in results)
    if not count:
        return "no DKIM signature"
    which = f"the DKIM signature of {signer}" if signer else "the DKIM signature"
    return which if count == 1 else f"{which}, the best of {count}"
