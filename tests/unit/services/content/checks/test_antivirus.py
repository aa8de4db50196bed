"""What the antivirus engines' words become: the policy's rule, and sentences that name the engine."""

import pytest

from services.content.checks.antivirus import check_antivirus
from services.content.engines.scan import Clean, Encrypted, EngineError, Exceeded, Infected, ScanResult
from shared.policy.checks import AntivirusRules


class FakeEngine:
    """Gives one answer."""

    def __init__(self, answer: ScanResult | EngineError) -> None:
        self.answer = answer

    async def scan(self, data: bytes) -> ScanResult:
        if isinstance(self.answer, EngineError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Infected("ClamAV", "Eicar-Test-Signature"), "infected"),
        (Encrypted("ClamAV", "Heuristics.Encrypted.Zip"), "encrypted"),
        (Exceeded("ClamAV", "Heuristics.Limits.Exceeded.MaxFiles"), "exceeded"),
    ],
)
async def test_each_word_has_its_rule_and_names_engine_and_signature(answer: ScanResult, word: str) -> None:
    finding = await check_antivirus(FakeEngine(answer), b"12345")
    assert (finding.result, finding.rule, finding.unsure) == (word, word, False)
    assert word in AntivirusRules.model_fields
    assert not isinstance(answer, Clean)
    assert finding.evidence.startswith("ClamAV ")
    assert answer.signature in finding.evidence
    assert finding.input == "the message, 5 octets"
    assert finding.change[0].islower()
    assert not finding.change.endswith(".")


async def test_malware_is_named_as_the_engine_names_it() -> None:
    finding = await check_antivirus(FakeEngine(Infected("ClamAV", "Eicar-Test-Signature")), b"")
    assert finding.evidence == "ClamAV found Eicar-Test-Signature."


async def test_clean_has_no_rule() -> None:
    finding = await check_antivirus(FakeEngine(Clean("ClamAV")), b"")
    assert (finding.result, finding.rule, finding.evidence) == ("clean", "", "ClamAV found nothing.")


async def test_no_answer_is_unsure() -> None:
    finding = await check_antivirus(FakeEngine(EngineError("gone")), b"")
    assert (finding.result, finding.rule, finding.unsure) == ("error", "", True)
    assert "gone" in finding.evidence
