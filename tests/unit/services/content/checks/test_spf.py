"""What SPF's findings say, by which rule they are acted upon, and when nobody knows."""

import pytest

from services.content.checks.spf import helo_finding, spf_finding
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfResults, SpfWord
from shared.policy import Checks

CLIENT = "192.0.2.1"


def mail_from(word: SpfWord, explanation: str = "") -> SpfResult:
    return SpfResult(word, SpfIdentity.MAIL_FROM, "a.test", "a sentence", explanation=explanation)


def helo(word: SpfWord) -> SpfResult:
    return SpfResult(word, SpfIdentity.HELO, "mx.a.test", "a sentence")


def of(word: SpfWord, of_helo: SpfWord | None = None) -> SpfResults:
    return SpfResults(mail_from(word), helo(of_helo) if of_helo else None)


@pytest.mark.parametrize(
    ("word", "rule", "change"),
    [
        (SpfWord.PASS, "", ""),
        (SpfWord.NONE, "none", "an SPF record of a.test that allows 192.0.2.1"),
        (SpfWord.NEUTRAL, "neutral", "an SPF record of a.test that allows 192.0.2.1"),
        (SpfWord.FAIL, "fail", "an SPF record of a.test that allows 192.0.2.1"),
        (SpfWord.SOFTFAIL, "softfail", "an SPF record of a.test that allows 192.0.2.1"),
        (SpfWord.PERMERROR, "permerror", "an SPF record of a.test without errors"),
    ],
)
@pytest.mark.parametrize("matters", [False, True])
def test_mail_from_acts_by_the_rule_of_its_word(word: SpfWord, rule: str, change: str, matters: bool) -> None:
    finding = spf_finding(of(word), CLIENT, matters=matters)
    assert (finding.result, finding.rule, finding.unsure) == (word.value, rule, False)
    assert finding.change == change
    assert finding.input == "client 192.0.2.1, MAIL FROM a.test"


@pytest.mark.parametrize("matters", [False, True])
def test_what_dns_cannot_tell_is_unsure_where_the_policy_acts_upon_it_and_never_a_failure(matters: bool) -> None:
    finding = spf_finding(of(SpfWord.TEMPERROR), CLIENT, matters=matters)
    assert (finding.result, finding.unsure, finding.rule) == ("temperror", matters, "")


def test_a_domains_own_explanation_is_shown_as_theirs() -> None:
    results = SpfResults(mail_from(SpfWord.FAIL, "see a.test/why"), None)
    assert spf_finding(results, CLIENT, matters=True).evidence == 'a sentence (the domain says: "see a.test/why").'


@pytest.mark.parametrize("word", list(SpfWord))
def test_a_helo_name_that_fails_is_a_finding_whatever_mail_from_says(word: SpfWord) -> None:
    finding = helo_finding(of(word, SpfWord.FAIL), CLIENT, matters=False)
    assert finding is not None
    assert (finding.result, finding.rule, finding.unsure) == ("helo_fail", "helo_fail", False)
    assert finding.input == "client 192.0.2.1, HELO mx.a.test"
    assert finding.change == "an SPF record of mx.a.test that allows 192.0.2.1"


@pytest.mark.parametrize("word", [word for word in SpfWord if word not in (SpfWord.FAIL, SpfWord.TEMPERROR)])
def test_a_helo_name_that_does_not_fail_is_no_finding(word: SpfWord) -> None:
    assert helo_finding(of(SpfWord.FAIL, word), CLIENT, matters=True) is None
    assert helo_finding(of(SpfWord.FAIL), CLIENT, matters=True) is None


def test_a_helo_name_that_dns_cannot_tell_is_unsure_only_where_the_policy_acts_upon_spf() -> None:
    results = of(SpfWord.PASS, SpfWord.TEMPERROR)
    assert helo_finding(results, CLIENT, matters=False) is None
    finding = helo_finding(results, CLIENT, matters=True)
    assert finding is not None
    assert (finding.result, finding.unsure, finding.rule) == ("helo_temperror", True, "")


def test_with_the_null_sender_the_helo_name_fails_by_both_rules() -> None:
    results = SpfResults(helo(SpfWord.FAIL), None)
    found = helo_finding(results, CLIENT, matters=False)
    assert spf_finding(results, CLIENT, matters=False).rule == "fail"
    assert found is not None
    assert found.rule == "helo_fail"


def test_with_the_null_sender_what_dns_cannot_tell_is_said_once() -> None:
    results = SpfResults(helo(SpfWord.TEMPERROR), None)
    assert spf_finding(results, CLIENT, matters=True).unsure
    assert helo_finding(results, CLIENT, matters=True) is None


def test_every_rule_is_a_key_of_the_policy() -> None:
    rules = Checks().spf
    for word in SpfWord:
        results = of(word, word)
        for finding in (spf_finding(results, CLIENT, matters=True), helo_finding(results, CLIENT, matters=True)):
            assert finding is None or not finding.rule or hasattr(rules, finding.rule)
