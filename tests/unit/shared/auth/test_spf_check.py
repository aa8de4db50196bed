"""SPF over a resolver."""

import pytest

from shared.auth.spf_check import check_spf
from shared.auth.spf_result import SpfIdentity, SpfWord
from shared.dns.answer import Answer, DnsTemporary


class Records:
    """A resolver to which everything is new."""

    def __init__(self, *texts: str, broken: bool = False) -> None:
        self._texts = texts
        self._broken = broken

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return None

    async def lookup(self, name: str, rdtype: str) -> Answer:
        if self._broken:
            raise DnsTemporary(name, rdtype, "SERVFAIL")
        found = tuple(text.encode() for text in self._texts) if rdtype == "TXT" else ()
        return Answer(name, rdtype, exists=True, records=found)


@pytest.mark.parametrize(
    ("resolver", "sender", "word", "identity"),
    [
        (Records("v=spf1 ip4:192.0.2.9 -all"), "joe@s.example", SpfWord.PASS, SpfIdentity.MAIL_FROM),
        (Records("v=spf1 -all"), "joe@s.example", SpfWord.FAIL, SpfIdentity.MAIL_FROM),
        (Records("v=spf1 ip4:192.0.2.9 -all"), "", SpfWord.PASS, SpfIdentity.HELO),
        (Records(), "joe@s.example", SpfWord.NONE, SpfIdentity.MAIL_FROM),
        (Records(broken=True), "joe@s.example", SpfWord.TEMPERROR, SpfIdentity.MAIL_FROM),
    ],
)
async def test_the_resolver_is_asked_for_what_is_missing(
    resolver: Records, sender: str, word: SpfWord, identity: SpfIdentity
) -> None:
    result = await check_spf(resolver, "192.0.2.9", "helo.example", sender, "mx.example")
    assert (result.word, result.identity) == (word, identity)
