"""What the doctor sees on this machine."""

from pathlib import Path

from services.console.doctor.finding import Level
from services.console.doctor.here import disks, settings_files


def test_settings_that_others_can_read_are_wrong_and_the_command_is_named(tmp_path: Path) -> None:
    for name, mode in (("console", 0o600), ("edge", 0o640)):
        (tmp_path / f"{name}.toml").write_text("")
        (tmp_path / f"{name}.toml").chmod(mode)
    ours, edge = settings_files(tmp_path / "console.toml")
    assert ours.level is Level.GOOD
    assert (edge.level, edge.mend) == (Level.WRONG, f"chmod 600 {tmp_path}/edge.toml")


def test_a_folder_that_is_not_there_is_wrong(tmp_path: Path) -> None:
    here, missing = disks([tmp_path, tmp_path / "missing"])
    assert "free" in here.text
    assert missing.level is Level.WRONG
