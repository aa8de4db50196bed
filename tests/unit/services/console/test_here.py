"""What the doctor sees on this machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.console.doctor.finding import Level
from services.console.doctor.here import certificates, disks, settings_files

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def certificate(path: Path, days: float) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=90))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(("days", "level"), [(90, Level.GOOD), (10, Level.WARNING), (-1, Level.WRONG)])
def test_a_certificate_is_judged_by_its_last_day(tmp_path: Path, days: float, level: Level) -> None:
    (finding,) = certificates([certificate(tmp_path / "c.pem", days)], NOW)
    assert finding.level is level
    assert bool(finding.mend) is (level is not Level.GOOD)


def test_a_file_that_holds_no_certificate_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    assert [f.level for f in certificates([tmp_path / "c.pem", tmp_path / "none"], NOW)] == [Level.WRONG, Level.WRONG]


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
