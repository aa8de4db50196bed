"""Rules of `[tracing]`: what is wrong is said at the start, by the name of the key."""

import importlib.util
import sys
from pathlib import Path

import pytest

from services.content.settings import ContentSettings
from services.delivery.settings import DeliverySettings
from services.edge.settings import EdgeSettings
from shared.errors import SettingsError
from shared.settings import TracingSettings, load_settings

_FILE = 'hostname = "gate.test"\n[broker]\nuser = "edge"\npassword = "x"\n[health]\nport = 0\n'
_EDGE = "[listeners.mx]\nport = 0\n"
_ON = '[tracing]\nendpoint = "http://127.0.0.1:4318"\n'
SERVICES = [(EdgeSettings, _EDGE), (ContentSettings, ""), (DeliverySettings, "")]


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "service.toml"
    path.touch(0o600)
    path.write_text(_FILE + text)
    return path


@pytest.mark.parametrize(("model", "more"), SERVICES)
def test_traces_are_off_unless_asked_for(
    model: type[EdgeSettings] | type[ContentSettings] | type[DeliverySettings], more: str, tmp_path: Path
) -> None:
    assert load_settings(model, file(tmp_path, more), {}).tracing.endpoint == ""
    assert load_settings(model, file(tmp_path, more + _ON), {}).tracing.endpoint == "http://127.0.0.1:4318/v1/traces"


@pytest.mark.parametrize(
    ("endpoint", "taken"),
    [
        ("http://otel:4318", "http://otel:4318/v1/traces"),
        ("http://otel:4318/", "http://otel:4318/v1/traces"),
        ("https://otel.example/otlp/v1/traces", "https://otel.example/otlp/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ],
)
def test_an_endpoint_without_a_path_gets_that_of_the_standard(endpoint: str, taken: str) -> None:
    assert TracingSettings(endpoint=endpoint).endpoint == taken


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('endpoint = "otel:4318"', "tracing.endpoint: expected http://host:port"),
        ('endpoint = "grpc://otel:4317"', "tracing.endpoint: expected http://host:port"),
        ('endpoint = "http://"', "tracing.endpoint: expected http://host:port"),
        ('endpoint = "http://otel:4318/?a=b"', "tracing.endpoint: expected http://host:port"),
        ('endpoint = "http://otel:port"', "tracing.endpoint: "),
        ("ratio = 1.5", "tracing.ratio: "),
        ("ratio = -1", "tracing.ratio: "),
        ("ratio = nan", "tracing.ratio: "),
        ('endpoint = "http://otel:4318"\nca_file = "ca.pem"', "tracing: ca_file needs an endpoint"),
        ("headers = 1", "tracing.headers: unknown key"),
    ],
)
def test_what_is_wrong_is_said_by_its_key(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(ContentSettings, file(tmp_path, f"[tracing]\n{line}\n"), {})
    assert said in str(caught.value)


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter.otlp.proto.http"])
def test_without_the_extra_the_start_is_refused_and_the_remedy_named(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError) as caught:
        load_settings(DeliverySettings, file(tmp_path, _ON), {})
    assert "tracing.endpoint: " in str(caught.value)
    assert "install gatepost[tracing]" in str(caught.value)
    assert load_settings(DeliverySettings, file(tmp_path, ""), {}).tracing.endpoint == ""


def test_the_environment_switches_traces_on(tmp_path: Path) -> None:
    environ = {
        "GATEPOST_TRACING__ENDPOINT": "https://otel",
        "GATEPOST_TRACING__CA_FILE": "/ca",
        "GATEPOST_TRACING__RATIO": "0.1",
    }
    taken = load_settings(ContentSettings, file(tmp_path, ""), environ).tracing
    assert taken == TracingSettings(endpoint="https://otel", ca_file=Path("/ca"), ratio=0.1)


def test_the_extra_is_installed_where_tests_run() -> None:
    assert importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
