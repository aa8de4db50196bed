"""Rules of what each check reports: the standard's word, the rule of the policy that applies, and when nobody knows."""

from services.content.checks.antivirus import check_antivirus
from services.content.engines.scan import Clean, Encrypted, EngineError, Exceeded, Infected, ScanResult
from services.content.finding import Finding
from shared.policy import Checks


class FakeEngine:
    """Gives one answer."""

    def __init__(self, answer: ScanResult | EngineError) -> None:
        self.answer = answer

    async def scan(self, data: bytes) -> ScanResult:
        if isinstance(self.answer, EngineError):
            raise self.answer
        return self.answer


async def test_clean_is_what_the_engine_calls_clean() -> None:
    finding = await check_antivirus(FakeEngine(Clean("ClamAV")), b"")
    assert (finding.result, finding.rule, finding.unsure) == ("clean", "", False)


async def test_infected_names_what_was_found() -> None:
    finding = await check_antivirus(FakeEngine(Infected("ClamAV", "Win.Test.EICAR_HDB-1")), b"")
    assert (finding.result, finding.rule) == ("infected", "infected")
    assert "Win.Test.EICAR_HDB-1" in finding.evidence


async def test_an_engine_without_an_answer_is_unsure_and_never_clean() -> None:
    finding = await check_antivirus(FakeEngine(EngineError("no connection")), b"")
    assert (finding.result, finding.unsure) == ("error", True)


async def _all_findings() -> list[Finding]:
    answers: list[ScanResult | EngineError] = [
        Clean("ClamAV"),
        Infected("ClamAV", "X"),
        Encrypted("ClamAV", "X"),
        Exceeded("ClamAV", "X"),
        EngineError("x"),
    ]
    return [await check_antivirus(FakeEngine(answer), b"") for answer in answers]


async def test_every_rule_is_a_key_of_its_checks_policy() -> None:
    for finding in await _all_findings():
        rules = getattr(Checks(), finding.check.value)
        assert not finding.rule or hasattr(rules, finding.rule), finding
