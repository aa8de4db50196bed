"""What the doctor says of a clamd that does not report what it could not look into."""

from pathlib import Path

from services.console.doctor.clamd_limits import clamd_limits
from services.console.doctor.finding import Level
from services.console.settings import DoctorSettings
from tests.clamd import Clamd


async def test_a_clamd_with_our_limits_needs_nothing(clamd: Clamd) -> None:
    assert await clamd_limits(DoctorSettings(clamd=[clamd.address])) == []


async def test_a_clamd_that_is_silent_is_a_warning_that_names_the_setting(tmp_path: Path) -> None:
    silent = Clamd(tmp_path, lines=("AlertExceedsMax no",))
    silent.start()
    try:
        [finding] = await clamd_limits(DoctorSettings(clamd=[silent.address]))
    finally:
        silent.kill()
    assert finding.level is Level.WARNING
    assert silent.address in finding.text
    assert "AlertExceedsMax yes" in finding.mend


async def test_one_that_does_not_answer_is_told_elsewhere() -> None:
    assert await clamd_limits(DoctorSettings(clamd=["127.0.0.1:1", "nonsense"])) == []
