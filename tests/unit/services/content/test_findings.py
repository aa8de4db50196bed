"""Rules of what each check reports: the standard's word, the rule of the policy that applies, and when nobody knows."""

import pytest

from services.content.auth.results import Disposition, DkimReason, DkimResult, DkimWord, DmarcResult, DmarcWord
from services.content.checks.antivirus import check_antivirus
from services.content.checks.dkim import dkim_finding
from services.content.checks.dmarc import dmarc_finding
from services.content.checks.spf import spf_finding
from services.content.checks.structure import check_structure
from services.content.engines.clamd import Clean, EngineError, Infected, ScanResult
from services.content.finding import Finding
from shared.auth.message import MAX_FIELDS, MAX_HEADER_BYTES, split_message
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from shared.policy import Checks


def spf(word: SpfWord, explanation: str = "") -> SpfResult:
    return SpfResult(word, SpfIdentity.MAIL_FROM, "a.test", "a sentence", explanation=explanation)


def dkim(word: DkimWord, domain: str = "") -> DkimResult:
    return DkimResult(word, DkimReason.VERIFIED, "a sentence", domain, "s" if domain else "")


class FakeEngine:
    """Gives one answer."""

    def __init__(self, answer: ScanResult | EngineError) -> None:
        self.answer = answer

    async def scan(self, data: bytes) -> ScanResult:
        if isinstance(self.answer, EngineError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        (SpfWord.PASS, ""),
        (SpfWord.NONE, ""),
        (SpfWord.NEUTRAL, ""),
        (SpfWord.FAIL, "fail"),
        (SpfWord.SOFTFAIL, "softfail"),
        (SpfWord.PERMERROR, "permerror"),
    ],
)
@pytest.mark.parametrize("matters", [False, True])
def test_spf_acts_by_the_rule_of_its_word(word: SpfWord, rule: str, matters: bool) -> None:
    finding = spf_finding(spf(word), matters=matters)
    assert (finding.result, finding.rule, finding.unsure) == (word.value, rule, False)


@pytest.mark.parametrize("matters", [False, True])
def test_spf_that_dns_cannot_tell_is_unsure_where_the_policy_acts_upon_it(matters: bool) -> None:
    finding = spf_finding(spf(SpfWord.TEMPERROR), matters=matters)
    assert (finding.unsure, finding.rule) == (matters, "")


def test_a_domains_own_explanation_is_shown_as_theirs() -> None:
    assert spf_finding(spf(SpfWord.FAIL, "see a.test/why"), matters=True).evidence == (
        'a sentence (the domain says: "see a.test/why")'
    )


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        (DkimWord.PASS, ""),
        (DkimWord.NONE, ""),
        (DkimWord.NEUTRAL, ""),
        (DkimWord.FAIL, "fail"),
        (DkimWord.PERMERROR, "fail"),
        (DkimWord.POLICY, "fail"),
    ],
)
def test_dkim_acts_by_the_rule_of_its_word(word: DkimWord, rule: str) -> None:
    finding = dkim_finding([dkim(word)], matters=True)
    assert (finding.result, finding.rule, finding.unsure) == (word.value, rule, False)


def test_one_signature_that_passes_is_enough() -> None:
    # RFC 6376 §6.1.
    finding = dkim_finding([dkim(DkimWord.FAIL, "b.test"), dkim(DkimWord.PASS, "a.test")], matters=True)
    assert (finding.result, finding.rule) == ("pass", "")
    assert finding.evidence == "a.test, selector s: a sentence"


def test_a_signature_that_may_yet_pass_hides_one_that_fails() -> None:
    results = [dkim(DkimWord.FAIL), dkim(DkimWord.TEMPERROR)]
    assert dkim_finding(results, matters=True).unsure
    calm = dkim_finding(results, matters=False)
    assert (calm.result, calm.rule, calm.unsure) == ("temperror", "", False)


@pytest.mark.parametrize(
    ("result", "rule", "unsure"),
    [
        (DmarcResult(DmarcWord.PASS, "e"), "", False),
        (DmarcResult(DmarcWord.NONE, "e"), "", False),
        (DmarcResult(DmarcWord.FAIL, "e", disposition=Disposition.REJECT), "reject", False),
        (DmarcResult(DmarcWord.FAIL, "e", disposition=Disposition.QUARANTINE), "quarantine", False),
        (DmarcResult(DmarcWord.FAIL, "e", disposition=Disposition.NONE), "none", False),
        (DmarcResult(DmarcWord.PERMERROR, "e"), "permerror", False),
        (DmarcResult(DmarcWord.TEMPERROR, "e"), "", True),
    ],
)
def test_dmarc_acts_by_what_the_authors_domain_asks_for(result: DmarcResult, rule: str, unsure: bool) -> None:
    finding = dmarc_finding(result)
    assert (finding.result, finding.rule, finding.unsure) == (result.word.value, rule, unsure)


@pytest.mark.parametrize(
    ("message", "result", "rule"),
    [
        (b"From: a@b.test\r\n\r\nbody", "ok", ""),
        (b"\r\nno header at all", "ok", ""),
        (b"From a@b.test\r\nTo: c@d.test\r\n\r\n", "malformed", "malformed"),
        (b"X: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\n", "exceeded", "exceeded"),
        (b"X: y\r\n" * (MAX_FIELDS + 1) + b"\r\n", "exceeded", "exceeded"),
    ],
)
def test_a_header_is_well_formed_malformed_or_beyond_its_bounds(message: bytes, result: str, rule: str) -> None:
    finding = check_structure(split_message(message))
    assert (finding.result, finding.rule, finding.unsure) == (result, rule, False)


async def test_clean_is_what_the_engine_calls_clean() -> None:
    finding = await check_antivirus(FakeEngine(Clean()), b"")
    assert (finding.result, finding.rule, finding.unsure) == ("clean", "", False)


async def test_infected_names_what_was_found() -> None:
    finding = await check_antivirus(FakeEngine(Infected("Win.Test.EICAR_HDB-1")), b"")
    assert (finding.result, finding.rule) == ("infected", "infected")
    assert "Win.Test.EICAR_HDB-1" in finding.evidence


async def test_an_engine_without_an_answer_is_unsure_and_never_clean() -> None:
    finding = await check_antivirus(FakeEngine(EngineError("no connection")), b"")
    assert (finding.result, finding.unsure) == ("error", True)


async def _all_findings() -> list[Finding]:
    engines = [FakeEngine(Clean()), FakeEngine(Infected("X")), FakeEngine(EngineError("x"))]
    headers = [b"", b"bad\r\n\r\n", b"X: y\r\n" * (MAX_FIELDS + 1)]
    return [
        *[spf_finding(spf(word), matters=False) for word in SpfWord],
        *[dkim_finding([dkim(word)], matters=False) for word in DkimWord],
        *[dmarc_finding(DmarcResult(word, "e", disposition=asked)) for word in DmarcWord for asked in Disposition],
        *[check_structure(split_message(header)) for header in headers],
        *[await check_antivirus(engine, b"") for engine in engines],
    ]


async def test_every_rule_is_a_key_of_its_checks_policy() -> None:
    for finding in await _all_findings():
        rules = getattr(Checks(), finding.check.value)
        assert not finding.rule or hasattr(rules, finding.rule), finding
