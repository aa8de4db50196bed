"""Rules of the check `arc`."""

import pytest

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.digests import BodyDigests
from services.content.checks.arc import arc_finding, check_arc
from shared.auth.message import split_message
from shared.policy import Checks
from tests.unit.services.content.auth.signing import MESSAGE, rsa_keys, sealed
from tests.unit.services.content.auth.test_replayed import ColdResolver
from tests.unit.shared.auth.zone import Zone


async def test_the_chain_is_verified_over_the_resolver_and_the_author_is_froms() -> None:
    zone = Zone({(f"s._domainkey.{name}", "TXT"): (rsa_keys()[1],) for name in ("one.test", "two.test")})
    message = split_message(sealed("one.test", "two.test"))
    digests = BodyDigests(message.body)
    result = await check_arc(ColdResolver(zone), message, digests)
    assert (result.word, result.sealers, result.dmarc_passed) == (ArcWord.PASS, ("one.test", "two.test"), True)
    assert max(zone.asked.values()) == 1
    assert digests.hashed_bytes == digests.size_bytes(relaxed=True)


async def test_a_message_without_a_chain_asks_and_hashes_nothing() -> None:
    zone, message = Zone(), split_message(MESSAGE)
    digests = BodyDigests(message.body)
    assert (await check_arc(ColdResolver(zone), message, digests)).word is ArcWord.NONE
    assert not zone.asked
    assert not digests.hashed_bytes


@pytest.mark.parametrize(
    ("word", "rule", "unsure"),
    [
        (ArcWord.NONE, "", False),
        (ArcWord.PASS, "", False),
        (ArcWord.FAIL, "fail", False),
        (ArcWord.TEMPERROR, "", True),
    ],
)
@pytest.mark.parametrize("matters", [False, True])
def test_arc_acts_by_the_rule_of_its_word(word: ArcWord, rule: str, unsure: bool, matters: bool) -> None:
    result = ArcResult(word, "a sentence", ("one.test",) if word is ArcWord.PASS else ())
    finding = arc_finding(result, matters=matters)
    assert (finding.result, finding.rule, finding.unsure) == (word.value, rule, unsure and matters)
    assert (finding.evidence, finding.detail) == ("A sentence.", result)
    assert bool(finding.change) is bool(rule)
    assert not rule or hasattr(Checks().arc, rule)
