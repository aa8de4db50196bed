"""The evaluators under replay: each look-up is missing first, and the result is as if it had not been."""

import time

from services.content.auth.digests import BodyDigests
from services.content.auth.dkim import evaluate_dkim
from services.content.auth.dmarc import evaluate_dmarc
from services.content.auth.proof import Proof, proved_by
from services.content.auth.results import DkimWord, DmarcWord
from shared.auth.author import read_author
from shared.auth.message import split_message
from shared.auth.spf import evaluate_spf
from shared.auth.spf_result import SpfWord
from shared.dns.answer import Answer
from shared.dns.replay import replay
from tests.unit.services.content.auth.signing import rsa_keys, sign
from tests.unit.shared.auth.zone import Zone, spf_zone


class ColdResolver:
    """A resolver that knows nothing until it was asked, over a zone."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.known: dict[tuple[str, str], Answer] = {}

    async def lookup(self, name: str, rdtype: str) -> Answer:
        answer = self.known[name, rdtype] = self.zone(name, rdtype)
        return answer

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return self.known.get((name, rdtype))


async def test_spf_and_its_explanation_survive_missing_lookups() -> None:
    zone = spf_zone(
        {
            "s.example TXT": "v=spf1 include:i.example mx exists:%{i}.e.s.example ptr:p.example -all exp=why.%{d}",
            "i.example TXT": "v=spf1 a:a.example -all",
            "a.example A": "192.0.2.7",
            "s.example MX": ["10 a.example"],
            "9.2.0.192.in-addr.arpa PTR": "p.example",
            "why.s.example TXT": "%{i} is not ours",
        }
    )
    resolver = ColdResolver(zone)
    result = await replay(resolver, lambda lookup: evaluate_spf("192.0.2.9", "a@s.example", "h.example", lookup))
    assert (result.word, result.explanation) == (SpfWord.FAIL, "192.0.2.9 is not ours")
    assert max(zone.asked.values()) == 1


async def test_a_signed_message_is_judged_and_hashed_once() -> None:
    zone = spf_zone({"_dmarc.example.org TXT": "v=DMARC1; p=reject", "example.org TXT": "v=spf1 -all"})
    zone.records["s._domainkey.example.org", "TXT"] = (rsa_keys()[1],)
    resolver = ColdResolver(zone)
    message = split_message(sign())
    digests = BodyDigests(message.body)
    now_s = time.time()
    spf = await replay(resolver, lambda lookup: evaluate_spf("192.0.2.9", "b@bounce.example.org", "h.example", lookup))
    dkim = await replay(resolver, lambda lookup: evaluate_dkim(message, digests, lookup, now_s))
    dmarc = await replay(resolver, lambda lookup: evaluate_dmarc(read_author(message), spf, dkim, lookup))
    proof = await replay(resolver, lambda lookup: proved_by("b@bounce.example.org", spf, dkim, dmarc, lookup))
    assert (spf.word, dkim[0].word, dmarc.word, proof) == (SpfWord.NONE, DkimWord.PASS, DmarcWord.PASS, Proof.DKIM)
    assert digests.hashed_bytes == digests.size_bytes(relaxed=True)
    assert max(zone.asked.values()) == 1
