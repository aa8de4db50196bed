"""Rules of what the check `dkim` reports."""

import pytest

from services.content.auth.results import DkimReason, DkimResult, DkimWord
from services.content.checks.dkim import dkim_finding
from shared.policy import Checks


def dkim(word: DkimWord, domain: str = "") -> DkimResult:
    return DkimResult(word, DkimReason.VERIFIED, "a sentence", domain, "s" if domain else "")


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        (DkimWord.PASS, ""),
        (DkimWord.NONE, "none"),
        (DkimWord.NEUTRAL, ""),
        (DkimWord.FAIL, "fail"),
        (DkimWord.PERMERROR, "fail"),
        (DkimWord.POLICY, "fail"),
    ],
)
def test_dkim_acts_by_the_rule_of_its_word(word: DkimWord, rule: str) -> None:
    finding = dkim_finding([dkim(word)], matters=True)
    assert (finding.result, finding.rule, finding.unsure) == (word.value, rule, False)
    assert not rule or hasattr(Checks().dkim, rule)


def test_one_signature_that_passes_is_enough() -> None:
    # RFC 6376 §6.1.
    finding = dkim_finding([dkim(DkimWord.FAIL, "b.test"), dkim(DkimWord.PASS, "a.test")], matters=True)
    assert (finding.result, finding.rule) == ("pass", "")
    assert finding.evidence == "a.test, selector s: a sentence."


def test_a_signature_that_may_yet_pass_hides_one_that_fails() -> None:
    results = [dkim(DkimWord.FAIL), dkim(DkimWord.TEMPERROR)]
    assert dkim_finding(results, matters=True).unsure
    calm = dkim_finding(results, matters=False)
    assert (calm.result, calm.rule, calm.unsure) == ("temperror", "", False)


def test_it_says_what_was_examined_and_what_would_have_changed_it() -> None:
    failed = dkim_finding([dkim(DkimWord.FAIL, "b.test"), dkim(DkimWord.POLICY)], matters=True)
    assert failed.input == "the DKIM signature of b.test, selector s, the best of 2"
    assert failed.change == "a DKIM signature of b.test that holds"
    unread = dkim_finding([dkim(DkimWord.POLICY)], matters=True)
    assert (unread.input, unread.change) == ("the DKIM signature", "a DKIM signature that holds")
    unsigned = dkim_finding([dkim(DkimWord.NONE)], matters=True)
    assert (unsigned.input, unsigned.change) == ("no DKIM signature", "a DKIM signature that holds")
