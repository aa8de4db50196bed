"""The check `dmarc`: whether the author's domain is proved, and what it asks for if not (RFC 9989). I/O: resolver."""

from collections.abc import Sequence

from services.content.auth.dmarc import evaluate_dmarc
from services.content.auth.results import DkimResult, DmarcResult, DmarcWord
from services.content.finding import Finding, unsure
from shared.auth.author import read_author
from shared.auth.message import Message
from shared.auth.spf_result import SpfResult
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.verdict import CheckName


async def check_dmarc(resolver: Resolver, message: Message, spf: SpfResult, dkim: Sequence[DkimResult]) -> DmarcResult:
    """Return the DMARC result; DNS that fails is temperror where the outcome hangs on it."""
    author = read_author(message)
    return await replay(resolver, lambda lookup: evaluate_dmarc(author, spf, dkim, lookup))


def dmarc_finding(result: DmarcResult) -> Finding:
    """Return the result as a finding; the rule that applies is what the author's domain asks for."""
    match result.word:
        case DmarcWord.TEMPERROR:
            return unsure(CheckName.DMARC, result.word.value, result.evidence)
        case DmarcWord.FAIL:
            return Finding(CheckName.DMARC, result.word.value, result.evidence, result.disposition.value)
        case DmarcWord.PERMERROR:
            return Finding(CheckName.DMARC, result.word.value, result.evidence, "permerror")
        case _:
            return Finding(CheckName.DMARC, result.word.value, result.evidence)
