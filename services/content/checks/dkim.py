"""The check `dkim`: what the signatures prove (RFC 6376, RFC 8301, RFC 8463). I/O through the resolver."""

import asyncio
import time
from collections.abc import Sequence

from services.content.auth.canon import BodyDigests
from services.content.auth.dkim import evaluate_dkim
from services.content.auth.results import DkimResult, DkimWord
from services.content.finding import Finding, unsure
from shared.auth.message import Message
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.verdict import CheckName

# Larger bodies are hashed in a thread, so that the event loop answers meanwhile.
_THREAD_BYTES = 1_000_000
_ORDER = (
    *(DkimWord.PASS, DkimWord.TEMPERROR, DkimWord.FAIL, DkimWord.PERMERROR),
    *(DkimWord.POLICY, DkimWord.NEUTRAL, DkimWord.NONE),
)


async def check_dkim(resolver: Resolver, message: Message) -> tuple[DkimResult, ...]:
    """Return a result for each signature; DNS that fails is temperror."""
    digests = BodyDigests(message.body)
    if len(message.body) > _THREAD_BYTES:
        signatures = message.values(b"dkim-signature")
        # The body's canonical form is the word after the slash of c=; without one it is simple (RFC 6376 §3.5).
        for relaxed in {b"/relaxed" in signature.lower() for signature in signatures}:
            await asyncio.to_thread(digests.sha256, relaxed=relaxed)
    now = time.time()
    return await replay(resolver, lambda lookup: evaluate_dkim(message, digests, lookup, now))


def dkim_finding(results: Sequence[DkimResult], *, matters: bool) -> Finding:
    """Return the best signature's result as a finding. matters: whether the policy acts upon DKIM by itself."""
    best = min(results, key=lambda result: _ORDER.index(result.word))
    if best.word is DkimWord.TEMPERROR and matters:
        return unsure(CheckName.DKIM, best.word.value, best.evidence)
    signed = f"{best.domain}, selector {best.selector}: " if best.domain else ""
    # RFC 6376 §6.1: a message whose signatures all fail is treated as one without; the policy may see it otherwise.
    rule = "fail" if best.word in (DkimWord.FAIL, DkimWord.PERMERROR, DkimWord.POLICY) else ""
    return Finding(CheckName.DKIM, best.word.value, signed + best.evidence, rule)
