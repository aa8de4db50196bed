"""Rules of what the check `dmarc` reports."""

import pytest

from services.content.auth.results import Disposition, DmarcResult, DmarcWord, PublishedPolicy
from services.content.checks.dmarc import dmarc_finding
from shared.policy import Checks


@pytest.mark.parametrize(
    ("result", "rule", "unsure"),
    [
        (DmarcResult(DmarcWord.PASS, "e"), "", False),
        (DmarcResult(DmarcWord.NONE, "e"), "absent", False),
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
    assert not rule or hasattr(Checks().dmarc, rule)


@pytest.mark.parametrize(
    ("adkim", "aspf", "change"),
    [
        ("r", "r", "a DKIM signature of a.test that holds, or SPF pass with MAIL FROM under a.test"),
        ("s", "s", "a DKIM signature of a.test itself that holds, or SPF pass with MAIL FROM at a.test"),
    ],
)
def test_it_says_what_was_examined_and_what_would_have_changed_it(adkim: str, aspf: str, change: str) -> None:
    record = PublishedPolicy("a.test", Disposition.REJECT, adkim=adkim, aspf=aspf)
    result = DmarcResult(
        DmarcWord.FAIL, "neither proves a.test", "a.test", disposition=Disposition.REJECT, record=record
    )
    finding = dmarc_finding(result)
    assert (finding.input, finding.change) == ("From a.test", change)
    assert finding.evidence == "Neither proves a.test."


def test_a_message_without_an_author_is_told_how_to_have_one() -> None:
    finding = dmarc_finding(DmarcResult(DmarcWord.PERMERROR, "there are 2 From fields"))
    assert finding.input == "From without a domain beyond doubt"
    assert finding.change == "one From field with addresses of one domain"
