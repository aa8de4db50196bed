"""Rules of the finding `antispam`."""

import pytest

from services.content.checks.antispam import antispam_finding, check_antispam
from services.content.finding import Finding
from services.content.spam import Forced, SpamError, SpamReport, SpamRequest, Symbol
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.verdict import CheckName

ENVELOPE = Envelope(
    id="06et",
    received_at=0,
    listener="mx",
    direction=Direction.INBOUND,
    client=Client("192.0.2.1", 25, "helo.test"),
    sender="a@sender.test",
    recipients=(Recipient("b@gatepost.test"),),
    size_bytes=3,
)
REPORT = SpamReport(
    "Rspamd", 7.2, (Symbol("BAYES_SPAM", 5.1, "100.00%"), Symbol("R_BAD", 2.1), Symbol("NOTED", 0.0, "x"))
)


class Engine:
    """Says what it was given."""

    def __init__(self, says: SpamReport | SpamError) -> None:
        self._says = says

    async def judge(self, request: SpamRequest) -> SpamReport:
        if isinstance(self._says, SpamError):
            raise self._says
        return self._says

    async def close(self) -> None:
        """Nothing is open."""


async def test_the_evidence_names_the_score_and_what_it_is_made_of() -> None:
    finding = await check_antispam(Engine(REPORT), SpamRequest(ENVELOPE, b"x" * 4312))
    assert finding == Finding(
        CheckName.ANTISPAM,
        "scored",
        "Rspamd gave it 7.2: BAYES_SPAM 5.1 (100.00%), R_BAD 2.1.",
        input="the whole message, 4,312 octets",
        detail=REPORT,
    )


async def test_an_engine_without_an_answer_is_unsure() -> None:
    finding = await check_antispam(Engine(SpamError("it is away")), SpamRequest(ENVELOPE, b""))
    assert (finding.unsure, finding.result, finding.evidence) == (
        True,
        "error",
        "The antispam engine gave no answer: it is away.",
    )


async def test_no_engine_on_purpose_is_no_doubt() -> None:
    finding = await check_antispam(None, SpamRequest(ENVELOPE, b""))
    assert (finding.unsure, finding.result, finding.detail) == (False, "none", None)
    assert finding.evidence == "No antispam engine is configured on this host."


@pytest.mark.parametrize(
    ("report", "evidence"),
    [
        (SpamReport("Rspamd", 0.0), "Rspamd gave it 0, naming no rule."),
        (SpamReport("Rspamd", -1.25, (Symbol("GOOD", -1.25),)), "Rspamd gave it -1.25: GOOD -1.25."),
        (SpamReport("SpamAssassin", 1001.3, (Symbol("GTUBE", 1000),)), "SpamAssassin gave it 1001.3: GTUBE 1000."),
        (
            SpamReport("Rspamd", 15, (Symbol("GTUBE", 0.0),), Forced.REJECT),
            "Rspamd insists that it be rejected, whatever the score; it gave it 15: GTUBE 0.",
        ),
        (
            SpamReport("Rspamd", 2.5, (Symbol("FORCE_S", 0.0, "soft reject"),), Forced.SOFT_REJECT),
            "Rspamd insists that it be refused for now, whatever the score; it gave it 2.5: FORCE_S 0 (soft reject).",
        ),
    ],
)
def test_the_evidence_is_a_sentence(report: SpamReport, evidence: str) -> None:
    assert antispam_finding(report, 100).evidence == evidence


def test_only_so_many_rules_are_named() -> None:
    many = SpamReport("Rspamd", 20, tuple(Symbol(f"S{number}", 1.0) for number in range(20)))
    assert antispam_finding(many, 100).evidence.endswith("S7 1 and 12 more.")


def test_a_message_that_was_not_looked_at_as_a_whole_is_told_apart() -> None:
    part = SpamReport("SpamAssassin", 1.0, examined_bytes=1_999_980)
    assert antispam_finding(part, 25_000_000).input == "only the first 1,999,980 of 25,000,000 octets"
