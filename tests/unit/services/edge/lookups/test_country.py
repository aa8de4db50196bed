"""Countries of addresses, out of real databases made here."""

import os
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from structlog.testing import capture_logs

from services.edge.lookups.country import Countries, warn_without_database
from shared.errors import SettingsError
from shared.policy import parse_policy


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def write(path: Path, networks: dict[str, dict[str, object]], *, version: int = 6) -> None:
    writer = MMDBWriter(version, "Test-Country", ipv4_compatible=version == 6)
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    # As such files are renewed: a new one in the place of the old.
    fresh = path.with_suffix(".new")
    writer.to_db_file(str(fresh))
    fresh.replace(path)


def country(code: str) -> dict[str, object]:
    return {"country": {"iso_code": code, "names": {"en": "Somewhere"}}, "registered_country": {"iso_code": "US"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "country.mmdb"
    write(made, {"192.0.2.0/24": country("DE"), "2001:db8::/32": country("FR"), "198.51.100.0/24": {"odd": 1}})
    return made


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("192.0.2.1", "DE"),
        ("::ffff:192.0.2.1", "DE"),
        ("2001:db8::1%eth0", "FR"),
        ("203.0.113.1", None),
        ("198.51.100.1", None),
        ("127.0.0.1", None),
    ],
)
def test_an_address_has_the_country_of_its_network(path: Path, address: str, code: str | None) -> None:
    assert Countries(path).of(address) == code


def test_without_a_database_no_country_is_known() -> None:
    assert Countries(None).of("192.0.2.1") is None


def test_a_database_of_ipv4_knows_nothing_of_ipv6(tmp_path: Path) -> None:
    write(tmp_path / "4.mmdb", {"192.0.2.0/24": country("DE")}, version=4)
    countries = Countries(tmp_path / "4.mmdb")
    assert (countries.of("192.0.2.1"), countries.of("2001:db8::1")) == ("DE", None)


def test_a_changed_file_is_read_anew(path: Path) -> None:
    clock = Clock()
    countries = Countries(path, clock=clock)
    write(path, {"192.0.2.0/24": country("AT")})
    os.utime(path, (1, 1))
    assert countries.of("192.0.2.1") == "DE"
    clock.now_s = 61
    assert countries.of("192.0.2.1") == "AT"


@pytest.mark.parametrize("broken", ["missing", "garbage"])
def test_a_file_that_cannot_be_read_any_more_is_told_once_and_the_last_one_stays(path: Path, broken: str) -> None:
    clock = Clock()
    countries = Countries(path, clock=clock)
    if broken == "missing":
        path.unlink()
    else:
        path.write_bytes(b"no database")
    with capture_logs() as logs:
        for minute in range(1, 4):
            clock.now_s = 61.0 * minute
            assert countries.of("192.0.2.1") == "DE"
    assert [line["event"] for line in logs] == ["country-database-not-read"]
    write(path, {"192.0.2.0/24": country("AT")})
    clock.now_s = 400
    assert countries.of("192.0.2.1") == "AT"


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_a_database_that_cannot_be_used_ends_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "country.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"country_database: .*country\.mmdb"):
        Countries(path)


def test_a_cut_off_database_knows_less_and_raises_nothing(path: Path) -> None:
    whole = path.read_bytes()
    end = whole.index(b"\xab\xcd\xefMaxMind.com")
    for cut in range(0, end, 7):
        path.write_bytes(whole[:cut] + whole[end:])
        try:
            countries = Countries(path)
        except SettingsError:
            continue
        for address in ("192.0.2.1", "2001:db8::1", "203.0.113.1"):
            assert countries.of(address) in (None, "DE", "FR")


RULES = {
    "access": '[[access]]\naction = "deny"\ncountries = ["DE"]\n',
    "listener": '[listeners.mx]\npurpose = "inbound"\n[[listeners.mx.access]]\naction = "deny"\ncountries = ["DE"]\n',
    "clients": '[[clients]]\nname = "a"\nmessages = "1/h"\nmatch = { countries = ["DE"] }\n',
    "greylist": '[[greylist.exempt]]\ncountries = ["DE"]\n',
}


@pytest.mark.parametrize("text", RULES.values(), ids=RULES.keys())
def test_rules_with_countries_and_no_database_are_told(path: Path, text: str) -> None:
    with capture_logs() as logs:
        assert warn_without_database(parse_policy(text), Countries(None))
    assert [line["event"] for line in logs] == ["countries-without-database"]
    assert not warn_without_database(parse_policy(text), Countries(path))


def test_rules_without_countries_need_no_database() -> None:
    assert not warn_without_database(parse_policy(""), Countries(None))
