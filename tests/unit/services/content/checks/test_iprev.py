"""Rules of the check `iprev`."""

import asyncio

import pytest

from services.content.checks.iprev import check_iprev, iprev_finding
from shared.auth.iprev import ReverseResult, ReverseWord
from shared.dns.answer import Answer
from shared.envelope import Client
from shared.policy import Checks
from tests.unit.services.edge.lookups.memory import Memory

PTR = "9.2.0.192.in-addr.arpa PTR"


def client(name: str | None = None) -> Client:
    return Client("192.0.2.9", 4711, "helo.test", name=name)


async def test_a_name_that_edge_has_confirmed_is_not_asked_again() -> None:
    resolver = Memory()
    assert await check_iprev(resolver, client("mail.a.test")) == ReverseResult(ReverseWord.PASS, "mail.a.test")
    assert not resolver.asked


@pytest.mark.parametrize(
    ("records", "broken", "word"),
    [
        ({PTR: "a.test", "a.test A": "192.0.2.9"}, set(), ReverseWord.PASS),
        ({PTR: "a.test", "a.test A": "192.0.2.8"}, set(), ReverseWord.FAIL),
        ({}, set(), ReverseWord.PERMERROR),
        ({}, {PTR}, ReverseWord.TEMPERROR),
    ],
)
async def test_otherwise_dns_is_asked(records: dict[str, str | list[str]], broken: set[str], word: ReverseWord) -> None:
    assert (await check_iprev(Memory(records, broken=broken), client())).word is word


async def test_dns_that_takes_too_long_is_a_temperror() -> None:
    class Silent(Memory):
        async def lookup(self, name: str, rdtype: str) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

    assert (await check_iprev(Silent(), client(), timeout_s=0.01)).word is ReverseWord.TEMPERROR


@pytest.mark.parametrize(
    ("word", "rule", "unsure"),
    [("pass", "", False), ("fail", "fail", False), ("permerror", "permerror", False), ("temperror", "", True)],
)
@pytest.mark.parametrize("matters", [False, True])
def test_iprev_acts_by_the_rule_of_its_word(word: str, rule: str, unsure: bool, matters: bool) -> None:
    finding = iprev_finding(ReverseResult(ReverseWord(word), "a.test"), "192.0.2.9", matters=matters)
    assert (finding.result, finding.rule, finding.unsure) == (word, rule, unsure and matters)
    assert finding.input == "client 192.0.2.9"
    assert "192.0.2.9" in finding.evidence
    assert bool(finding.change) is bool(rule)
    assert not rule or hasattr(Checks().iprev, rule)
