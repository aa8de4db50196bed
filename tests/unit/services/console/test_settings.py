"""The console's settings."""

from pathlib import Path

import pytest

from services.console.settings import USUAL_PLACES, load_console_settings, settings_path
from shared.errors import SettingsError

LEAST = """
hostname = "gate.gatepost.test"
[broker]
user = "console"
password = "x"
[health]
port = 9104
[database]
url = "{url}"
"""


def load(tmp_path: Path, text: str) -> str:
    path = tmp_path / "console.toml"
    path.write_text(text)
    path.chmod(0o600)
    settings = load_console_settings({"GATEPOST_SETTINGS_FILE": str(path)})
    return settings.database.url.get_secret_value()


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("sqlite:////var/lib/gatepost/gatepost.db", "sqlite+aiosqlite:////var/lib/gatepost/gatepost.db"),
        ("postgresql://a:b@c:5432/d", "postgresql+asyncpg://a:b@c:5432/d"),
        ("postgresql+asyncpg://a@c/d", "postgresql+asyncpg://a@c/d"),
    ],
)
def test_both_databases_are_named_without_their_drivers(tmp_path: Path, url: str, used: str) -> None:
    assert load(tmp_path, LEAST.format(url=url)) == used


@pytest.mark.parametrize("url", ["mysql://a/b", "gatepost.db", ""])
def test_another_database_is_refused_by_the_name_of_its_key(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"database\.url"):
        load(tmp_path, LEAST.format(url=url))


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"doctor\.clam: unknown key"):
        load(tmp_path, LEAST.format(url="sqlite:///x.db") + '[doctor]\nclam = "x"\n')


def test_without_a_name_the_usual_places_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if not USUAL_PLACES[1].exists():
        with pytest.raises(SettingsError, match="GATEPOST_SETTINGS_FILE"):
            settings_path({})
    (tmp_path / "var/settings").mkdir(parents=True)
    (tmp_path / USUAL_PLACES[0]).write_text("")
    assert settings_path({}) == USUAL_PLACES[0]
