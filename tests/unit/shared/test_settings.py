"""Rules of settings: a private file, the environment over it, secrets from files, nothing unknown."""

from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import FILE_VARIABLE, ServiceSettings, load_settings, read_private_toml

FILE = """
hostname = "mx.gatepost.test"
[broker]
user = "edge"
password = "from the file"
[health]
port = 9101
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(0o600)
    return path


def load(file: Path, **environ: str) -> ServiceSettings:
    return load_settings(ServiceSettings, file, environ)


def refused(file: Path, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(file, **environ)
    return str(caught.value)


def test_the_file_is_found_by_the_environment(file: Path) -> None:
    assert load_settings(ServiceSettings, environ={FILE_VARIABLE: str(file)}).hostname == "mx.gatepost.test"


@pytest.mark.parametrize("environ", [{}, {FILE_VARIABLE: ""}])
def test_without_a_file_the_variable_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=FILE_VARIABLE):
        load_settings(ServiceSettings, environ=environ)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601, 0o666, 0o777])
def test_a_file_that_others_can_touch_is_refused_with_the_remedy(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert f"chmod 600 {file}" in refused(file)
    assert f"mode {mode:04o}" in refused(file)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_file_of_its_owner_alone_is_read(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert load(file).hostname == "mx.gatepost.test"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.toml") in refused(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"x", b"x = \xff", b"a = 1\na = 2", b"n = " + b"1" * 5000])
def test_what_is_no_toml_is_refused_naming_the_file(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"edge\.toml"):
        read_private_toml(file)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("hostnam = 'x'", "hostnam: unknown key"),
        ("[dns]\nserver = 'x'", "dns.server: unknown key"),
        ("[log]\nlevel = 'loud'", "log.level: "),
        ("[dns]\ntimeout_s = 0", "dns.timeout_s: "),
        ("[dns]\ntimeout_s = nan", "dns.timeout_s: "),
        ("[dns]\nnameservers = 5", "dns.nameservers: "),
    ],
)
def test_what_is_wrong_is_named_with_file_and_path(file: Path, line: str, key: str) -> None:
    text = f"{line}\n{FILE}" if not line.startswith("[") else f"{FILE}\n{line}\n"
    file.write_text(text, encoding="utf-8")
    assert f"{file}: {key}" in refused(file)


@pytest.mark.parametrize("hostname", ["", "mx gatepost", "mx_1.test", "mx.test.", "mx\r\nX: y", "192.0.2.1", "a" * 64])
def test_a_hostname_that_no_server_would_take_in_ehlo_is_refused(file: Path, hostname: str) -> None:
    assert "hostname: " in refused(file, GATEPOST_HOSTNAME=hostname)


def test_the_environment_overrides_the_file(file: Path) -> None:
    found = load(
        file,
        GATEPOST_HOSTNAME="other.test",
        GATEPOST_BROKER__PORT="5671",
        GATEPOST_BROKER__TLS="true",
        GATEPOST_BROKER__CA_FILE="/etc/ca.pem",
        GATEPOST_LOG__FORMAT="text",
    )
    assert (found.hostname, found.broker.port, found.broker.tls) == ("other.test", 5671, True)
    assert (found.broker.ca_file, found.log.format) == (Path("/etc/ca.pem"), "text")
    assert found.broker.user == "edge"


def test_lists_come_as_comma_separated_text(file: Path) -> None:
    found = load(
        file, GATEPOST_DNS__NAMESERVERS="192.0.2.53, [2001:db8::53]:5353,", GATEPOST_DNS__ZONE_FILES="a.zone,b.zone"
    )
    assert found.dns.nameservers == ["192.0.2.53", "[2001:db8::53]:5353"]
    assert found.dns.zone_files == [Path("a.zone"), Path("b.zone")]
    assert load(file, GATEPOST_DNS__NAMESERVERS="").dns.nameservers == []
    assert load(file).dns.nameservers == ["system"]


def test_a_secret_may_stand_in_a_file_of_its_own(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a secret\n", encoding="utf-8")
    found = load(file, GATEPOST_BROKER__PASSWORD_FILE=str(secret))
    assert found.broker.password.get_secret_value() == "from a secret"


def test_a_secret_file_that_is_missing_is_named_by_its_variable(file: Path) -> None:
    assert "GATEPOST_BROKER__PASSWORD_FILE" in refused(file, GATEPOST_BROKER__PASSWORD_FILE="/nowhere/secret")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("GATEPOST_BROKR__PORT", "brokr: unknown key"),
        ("GATEPOST_BROKER__PORTS", "broker.ports: unknown key"),
        ("GATEPOST_BROKER__PORT", "broker.port: "),
        ("GATEPOST_BROKER", "broker: "),
        ("GATEPOST_HOSTNAME__X", "hostname is not a table"),
    ],
)
def test_an_unknown_or_wrong_variable_is_an_error(file: Path, name: str, key: str) -> None:
    assert key in refused(file, **{name: "word"})


def test_other_variables_are_no_settings(file: Path) -> None:
    environ = {"GATEPOST_DATA": "x", "GATEPOST_POLICY": "x", "GATEPOST_SETTINGS": "x", FILE_VARIABLE: "x", "PATH": "x"}
    assert load(file, **environ) == load(file)


def test_no_error_and_no_print_shows_a_secret(file: Path) -> None:
    file.write_text(FILE.replace('"from the file"', "12345678").replace("9101", '"tell me"'), encoding="utf-8")
    cause = refused(file)
    assert "broker.password" in cause
    assert "12345678" not in cause
    assert "from the file" not in str(load(_rewritten(file)))


def _rewritten(file: Path) -> Path:
    file.write_text(FILE, encoding="utf-8")
    return file


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_a_broker_on_this_machine_needs_no_tls(file: Path, host: str) -> None:
    assert not load(file, GATEPOST_BROKER__HOST=host).broker.tls


@pytest.mark.parametrize("host", ["10.0.0.7", "mq.example.org", "rabbitmq", "::2", "127.0.0.1.example.org"])
def test_a_broker_on_another_machine_is_refused_without_tls(file: Path, host: str) -> None:
    said = refused(file, GATEPOST_BROKER__HOST=host)
    assert host in said
    assert "tls = true" in said
    assert load(file, GATEPOST_BROKER__HOST=host, GATEPOST_BROKER__TLS="true").broker.host == host
    assert load(file, GATEPOST_BROKER__HOST=host, GATEPOST_BROKER__INSECURE="true").broker.host == host


@pytest.mark.parametrize("key", ["CERTIFICATE_FILE", "KEY_FILE"])
def test_half_a_pair_for_the_broker_is_refused(file: Path, key: str) -> None:
    environ = {f"GATEPOST_BROKER__{key}": "/etc/gatepost/edge/half.pem", "GATEPOST_BROKER__TLS": "true"}
    assert "belong together" in refused(file, **environ)


def test_certificates_without_tls_are_refused_for_they_would_do_nothing(file: Path) -> None:
    assert "need tls = true" in refused(file, GATEPOST_BROKER__CA_FILE="/etc/gatepost/edge/ca.pem")
