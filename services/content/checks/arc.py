"""The check `arc`: whether the chain of handlers holds, and who they are (RFC 8617). I/O through the resolver."""

import time

from services.content.auth.arc import NO_CHAIN, evaluate_arc
from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.digests import BodyDigests
from services.content.finding import Finding
from shared.auth.author import read_author
from shared.auth.message import Message
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.verdict import CheckName


async def check_arc(resolver: Resolver, message: Message, digests: BodyDigests) -> ArcResult:
    """Return what the chain says; without one, nothing is asked. digests: of the body, which DKIM uses too."""
    if not any(field.key.startswith(b"arc-") for field in message.fields):
        return NO_CHAIN
    now = time.time()
    author_domain = read_author(message).domain
    return await replay(resolver, lambda lookup: evaluate_arc(message, author_domain, digests, lookup, now))


def arc_finding(result: ArcResult, *, matters: bool) -> Finding:
    """Return the result as a finding. matters: whether the policy acts upon ARC; then not knowing defers."""
    failed = result.word is ArcWord.FAIL
    sealed = f", sealed by {', '.join(result.sealers)}" if result.sealers else ""
    return Finding(
        CheckName.ARC,
        result.word.value,
        f"{result.evidence[0].upper()}{result.evidence[1:]}.",
        "fail" if failed else "",
        unsure=matters and result.word is ArcWord.TEMPERROR,
        input=f"ARC chain{sealed}" if result.word is not ArcWord.NONE else "header",
        change="an ARC chain whose seals and newest message signature hold, or none" if failed else "",
        detail=result,
    )
