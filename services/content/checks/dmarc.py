"""The check `dmarc`: whether the author's domain is proved, and what it asks for if not (RFC 9989). I/O: resolver."""

from collections.abc import Sequence

from services.content.auth.dmarc import evaluate_dmarc
from services.content.auth.results import DkimResult, DmarcResult, DmarcWord
from services.content.finding import Finding
from shared.auth.author import read_author
from shared.auth.message import Message
from shared.auth.spf_result import SpfResult
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.verdict import CheckName


async def check_dmarc(
    resolver: Resolver, message: Message, spf: SpfResult, dkim: Sequence[DkimResult], *, every: bool = False
) -> DmarcResult:
    """Return the DMARC result; DNS that fails is temperror where the outcome hangs on it.

    every: look into each identifier, where an aggregate report is to be sent.
    """
    author = read_author(message)
    return await replay(resolver, lambda lookup: evaluate_dmarc(author, spf, dkim, lookup, every=every))


def dmarc_finding(result: DmarcResult) -> Finding:
    """Return the result as a finding; the rule that applies is what the author's domain asks for."""
    word, domain = result.word, result.author_domain
    rule, change = "", ""
    if word is DmarcWord.FAIL:
        rule, change = result.disposition.value, _proof_of(result)
    elif word is DmarcWord.PERMERROR:
        rule, change = "permerror", "one From field with addresses of one domain"
    elif word is DmarcWord.NONE:
        rule, change = "absent", f"a DMARC record of {domain}, and with it {_proof_of(result)}"
    elif word is DmarcWord.TEMPERROR:
        change = f"an answer of the nameservers that were asked about {domain}"
    return Finding(
        CheckName.DMARC,
        word.value,
        f"{result.evidence[0].upper() if word is DmarcWord.FAIL else result.evidence[0]}{result.evidence[1:]}.",
        rule,
        unsure=word is DmarcWord.TEMPERROR,
        input=f"From {domain}" if domain else "From without a domain beyond doubt",
        change=change,
    )


def _proof_of(result: DmarcResult) -> str:
    """Return what would have proved the author domain; below it counts too where alignment is relaxed."""
    domain, record = result.author_domain, result.record
    strict_dkim, strict_spf = (record.adkim == "s", record.aspf == "s") if record else (False, False)
    signature = f"a DKIM signature of {domain}{' itself' if strict_dkim else ''} that holds"
    return f"{signature}, or SPF pass with MAIL FROM {'at' if strict_spf else 'under'} {domain}"
