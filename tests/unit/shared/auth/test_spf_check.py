"""SPF over a resolver."""

import asyncio

import pytest

from shared.auth.spf_check import check_spf, check_spf_identities
from shared.auth.spf_result import SpfIdentity, SpfWord
from shared.dns.answer import Answer, DnsTemporary


class Records:
    """A resolver to which everything is new."""

    def __init__(self, *texts: str, broken: bool = False, **of_names: str) -> None:
        self._texts = texts
        self._broken = broken
        self._of_names = {name.replace("__", "."): text for name, text in of_names.items()}
        self.asked: list[str] = []

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return None

    async def lookup(self, name: str, rdtype: str) -> Answer:
        self.asked.append(name)
        if self._broken:
            raise DnsTemporary(name, rdtype, "SERVFAIL")
        texts = (self._of_names[name],) if name in self._of_names else self._texts
        found = tuple(text.encode() for text in texts) if rdtype == "TXT" else ()
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


async def test_both_identities_are_checked() -> None:
    resolver = Records(s__example="v=spf1 ip4:192.0.2.9 -all", helo__example="v=spf1 -all")
    results = await check_spf_identities(resolver, "192.0.2.9", "helo.example", "joe@s.example", "mx.example")
    assert (results.mail_from.word, results.mail_from.identity) == (SpfWord.PASS, SpfIdentity.MAIL_FROM)
    assert results.helo is not None
    assert (results.helo.word, results.helo.identity) == (SpfWord.FAIL, SpfIdentity.HELO)
    assert results.of_helo is results.helo
    assert results.helo.domain == "helo.example"


async def test_with_the_null_sender_the_helo_name_is_checked_once() -> None:
    resolver = Records("v=spf1 -all")
    results = await check_spf_identities(resolver, "192.0.2.9", "helo.example", "", "mx.example")
    assert (results.mail_from.word, results.helo) == (SpfWord.FAIL, None)
    assert results.of_helo is results.mail_from
    assert resolver.asked == ["helo.example"]


@pytest.mark.parametrize("helo", ["", "[192.0.2.9]", "192.0.2.9", "localhost", "a..example", "x" * 64 + ".example"])
async def test_a_helo_name_that_is_no_domain_has_no_result(helo: str) -> None:
    results = await check_spf_identities(Records("v=spf1 -all"), "192.0.2.9", helo, "joe@s.example", "mx.example")
    assert results.mail_from.word is SpfWord.FAIL
    assert results.helo is None


class Meeting(Records):
    """Answers only once both names have been asked for."""

    def __init__(self) -> None:
        super().__init__("v=spf1 -all")
        self._both = asyncio.Event()

    async def lookup(self, name: str, rdtype: str) -> Answer:
        answer = await super().lookup(name, rdtype)
        if len(self.asked) == 2:
            self._both.set()
        await self._both.wait()
        return answer


async def test_both_identities_are_looked_up_at_once() -> None:
    async with asyncio.timeout(5):
        await check_spf_identities(Meeting(), "192.0.2.9", "helo.example", "joe@s.example", "mx.example")


async def test_one_identity_may_fail_while_dns_is_silent_about_the_other() -> None:
    class HalfBroken(Records):
        async def lookup(self, name: str, rdtype: str) -> Answer:
            if name == "s.example":
                raise DnsTemporary(name, rdtype, "SERVFAIL")
            return await super().lookup(name, rdtype)

    results = await check_spf_identities(
        HalfBroken("v=spf1 -all"), "192.0.2.9", "helo.example", "joe@s.example", "mx.example"
    )
    assert results.mail_from.word is SpfWord.TEMPERROR
    assert results.helo is not None
    assert results.helo.word is SpfWord.FAIL
