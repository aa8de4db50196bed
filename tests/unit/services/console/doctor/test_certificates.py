"""What the doctor says of certificates."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.console.doctor.beside import Beside, Pair, pairs
from services.console.doctor.certificates import certificates
from services.console.doctor.finding import Level
from services.console.settings import ConsoleSettings
from tests.certificates import signed, written

NOW = datetime.now(UTC)
AUTHORITY = signed("an authority", authority=True)


def pair(path: Path, host: str = "mx.example", *, has_browsers: bool = False) -> Pair:
    path.chmod(0o600)
    return Pair("edge's mx", path, path, host, has_browsers=has_browsers)


@pytest.mark.parametrize(("days", "level"), [(90, Level.GOOD), (10, Level.WARNING), (-1, Level.WRONG)])
def test_a_certificate_is_judged_by_its_last_day(tmp_path: Path, days: int, level: Level) -> None:
    file = written(tmp_path / "c.pem", signed("mx", "mx.example", by=AUTHORITY, days=days), AUTHORITY)
    (finding,) = certificates([pair(file)], NOW)
    assert finding.level is level
    assert bool(finding.mend) is (level is not Level.GOOD)


def test_a_file_that_holds_no_certificate_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    found = certificates([Pair("x", tmp_path / "c.pem", None, ""), Pair("x", tmp_path / "none", None, "")], NOW)
    assert [finding.level for finding in found] == [Level.WRONG, Level.WRONG]


def test_a_certificate_for_another_name_is_a_warning_and_a_wildcard_covers_one_label(tmp_path: Path) -> None:
    file = written(tmp_path / "c.pem", signed("x", "*.example", by=AUTHORITY), AUTHORITY)
    assert [finding.level for finding in certificates([pair(file)], NOW)] == [Level.GOOD]
    other = certificates([pair(file, "a.b.example")], NOW)[1]
    assert (other.level, "not for a.b.example" in other.text) == (Level.WARNING, True)


def test_a_leaf_without_its_issuer_and_a_chain_in_disorder_are_told(tmp_path: Path) -> None:
    leaf = signed("mx", "mx.example", by=AUTHORITY)
    alone = certificates([pair(written(tmp_path / "a.pem", leaf))], NOW)
    assert "no certificate of its issuer" in alone[1].text
    stranger = signed("another", authority=True)
    disorder = certificates([pair(written(tmp_path / "b.pem", leaf, stranger))], NOW)
    assert (disorder[1].level, "in disorder" in disorder[1].text) == (Level.WRONG, True)


def test_one_signed_by_itself_is_told_where_browsers_look(tmp_path: Path) -> None:
    file = written(tmp_path / "c.pem", signed("mx", "mx.example"))
    assert [finding.level for finding in certificates([pair(file)], NOW)] == [Level.GOOD]
    web = certificates([pair(file, has_browsers=True)], NOW)
    assert "browsers warn" in web[1].text


def test_a_key_of_another_certificate_or_for_everybody_is_wrong(tmp_path: Path) -> None:
    file = written(tmp_path / "c.pem", signed("mx", "mx.example"))
    other = written(tmp_path / "o.pem", signed("mx", "mx.example"))
    other.chmod(0o600)
    (_, mixed) = certificates([Pair("x", file, other, "")], NOW)
    assert "is not the key of" in mixed.text
    file.chmod(0o644)
    (_, open_to_all) = certificates([Pair("x", file, file, "")], NOW)
    assert open_to_all.mend == f"chmod 600 {file}"


def test_the_certificates_of_all_listeners_are_looked_at_each_once(tmp_path: Path) -> None:
    files = {"certificate_file": "/c.pem", "key_file": "/k.pem"}
    more = [{"certificate_file": "/more.pem", "key_file": "/k.pem"}]
    edge = {"hostname": "MX.example", "listeners": {"mx": files | {"certificates": more}, "submission": files}}
    settings = ConsoleSettings.model_validate(
        {
            "hostname": "console.example",
            "broker": {"user": "console", "password": "x"},
            "health": {"port": 1},
            "database": {"url": "sqlite:////x"},
            "doctor": {"certificate_files": ["/c.pem", "/other.pem"]},
        }
    )
    found = [(str(one.certificate), one.host) for one in pairs(Beside({"edge": edge}, ()), settings)]
    assert found == [("/c.pem", "mx.example"), ("/more.pem", ""), ("/other.pem", "")]
