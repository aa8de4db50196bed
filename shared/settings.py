"""Settings that every service has (I/O: reads one file and the environment).

Owns: how settings are found and checked. One TOML file per service, readable by its owner alone; environment variables
`GATEPOST_<SECTION>__<KEY>` override it, and `GATEPOST_<SECTION>__<KEY>_FILE` names a file that holds the value.
On failure: SettingsError naming the file, the key and what is wrong.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from shared.address import parse_domain
from shared.errors import SettingsError
from shared.explain import explain

FILE_VARIABLE = "GATEPOST_SETTINGS_FILE"
_PREFIX = "GATEPOST_"
_TRACING_PACKAGE = "opentelemetry.exporter.otlp.proto.http"
# Variables of the commands around the services (DESIGN §8), which are no settings.
_NO_SETTINGS = frozenset({"GATEPOST_CONSOLE", "GATEPOST_DATA", "GATEPOST_POLICY", "GATEPOST_SETTINGS", FILE_VARIABLE})


class Section(BaseModel):
    """A table of a settings file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSettings(Section):
    """How to reach RabbitMQ. Between machines: `tls = true`, and ca_file, what its certificate is verified against,
    else the system's authorities.

    certificate_file, key_file: our own pair, where the broker asks for one. insecure: mail and passwords may cross the
    network in the clear, to a broker on another machine; without it, that is refused.
    """

    host: str = "127.0.0.1"
    port: int = Field(5673, ge=1, le=65535)
    vhost: str = "/"
    user: str
    password: SecretStr
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False

    @model_validator(mode="after")
    def _nothing_crosses_the_network_in_the_clear(self) -> "BrokerSettings":
        if not self.tls and not self.insecure and not _is_this_machine(self.host):
            raise ValueError(
                f"the broker at {self.host} is on another machine, and tls is false: mail and passwords would cross the"
                " network in the clear; set tls = true and ca_file, or, where that is meant, insecure = true"
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: set both or none")
        if not self.tls and (self.ca_file or self.certificate_file):
            raise ValueError("ca_file, certificate_file and key_file need tls = true")
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


# For settings that are lists: environment variables hold them as comma-separated text.
COMMA_SEPARATED = BeforeValidator(_listed)


class DnsSettings(Section):
    """nameservers: `ip`, `ip:port` or `[ipv6]:port`; "system": /etc/resolv.conf. zone_files: answered first."""

    nameservers: Annotated[list[str], COMMA_SEPARATED] = ["system"]
    zone_files: Annotated[list[Path], COMMA_SEPARATED] = []
    timeout_s: float = Field(5.0, gt=0, le=30)


class RedisSettings(Section):
    """How to reach the Redis that several workers share. `tls = true` verifies its certificate, against `ca_file`
    where that is set, and else against the system's authorities.
    """

    host: str = "127.0.0.1"
    port: int = Field(6379, ge=1, le=65535)
    db: int = Field(0, ge=0)
    user: str | None = None
    password: SecretStr | None = None
    tls: bool = False
    ca_file: Path | None = None


def _collector(endpoint: str) -> str:
    if not endpoint:
        return ""
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname or url.port == 0 or url.query or url.fragment:
        raise ValueError("expected http://host:port or https://host:port, with a path if the collector has another")
    if not _has_tracing():
        raise ValueError(f"traces need the Python package {_TRACING_PACKAGE}: install gatepost[tracing]")
    return url._replace(path=url.path if url.path.strip("/") else "/v1/traces").geturl()


def _has_tracing() -> bool:
    try:
        return find_spec(_TRACING_PACKAGE) is not None
    except ImportError:
        # Not even the packages above it are there.
        return False


class HealthSettings(Section):
    """Where `/metrics`, `/healthz` and `/readyz` are served (HTTP, loopback unless told otherwise)."""

    address: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)


class LogSettings(Section):
    """level: debug, info, warning or error. format: json for machines, text for people."""

    level: str = Field("info", pattern="^(debug|info|warning|error)$")
    format: str = Field("json", pattern="^(json|text)$")


class TracingSettings(Section):
    """Traces of mails by OpenTelemetry; they need Gatepost's extra `tracing`.

    endpoint: the collector's OTLP over HTTP, such as `http://127.0.0.1:4318`, to which `/v1/traces` is added where it
    has no path of its own; empty: no traces. ratio: which part of all mails is traced, by their ids; the same in all
    services, else traces lack stages. ca_file: what the collector's certificate is verified against, else the system's
    authorities.
    """

    endpoint: Annotated[str, AfterValidator(_collector)] = ""
    ratio: float = Field(1.0, ge=0, le=1)
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _a_certificate_to_verify(self) -> "TracingSettings":
        if self.ca_file is not None and not self.endpoint.startswith("https:"):
            raise ValueError("ca_file needs an endpoint that begins with https://")
        return self


class ServiceSettings(Section):
    """What each service's settings hold. hostname: the name this host goes by in SMTP and headers.

    redis: needed where a stage has more than one worker; without it, each counts alone, in memory.
    """

    hostname: Annotated[str, AfterValidator(parse_domain)]
    broker: BrokerSettings
    health: HealthSettings
    redis: RedisSettings | None = None
    dns: DnsSettings = DnsSettings()
    log: LogSettings = LogSettings()


Settings = TypeVar("Settings", bound=BaseModel)


def load_settings(model: type[Settings], path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the checked settings of a service. path: else the environment's GATEPOST_SETTINGS_FILE.

    Raises SettingsError: no file, readable by others, not TOML, unknown key, value out of range.
    """
    if path is None:
        if not environ.get(FILE_VARIABLE):
            raise SettingsError(f"no settings: set {FILE_VARIABLE} to the path of the service's settings file")
        path = Path(environ[FILE_VARIABLE])
    values = read_private_toml(path)
    for keys, value in _overrides(environ):
        _put(values, keys, value)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from None


def read_private_toml(path: Path) -> dict[str, object]:
    """Return the table of a TOML file that only its owner can read. Raises SettingsError."""
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise SettingsError(f"{path}: mode {stat.S_IMODE(mode):04o} lets others in; run: chmod 600 {path}")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _overrides(environ: Mapping[str, str]) -> list[tuple[list[str], str]]:
    found = []
    for name, value in sorted(environ.items()):
        if not name.startswith(_PREFIX) or name in _NO_SETTINGS:
            continue
        keys = name[len(_PREFIX) :].lower().split("__")
        text = value
        if keys[-1].endswith("_file") and keys[-1] not in _REAL_FILE_KEYS:
            keys[-1] = keys[-1].removesuffix("_file")
            try:
                text = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{name}: {error}") from None
        found.append((keys, text))
    return found


# Settings whose own name ends in `_file`: the variable holds the path itself.
_REAL_FILE_KEYS = frozenset({"ca_file", "certificate_file", "client_ca_file", "key_file", "keytab_file"})


def _put(values: dict[str, object], keys: list[str], value: str) -> None:
    table = values
    for key in keys[:-1]:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{_PREFIX}{'__'.join(keys).upper()}: {key} is not a table")
        table = inner
    # Lists are written as comma-separated values; pydantic reads numbers and booleans from text by itself.
    table[keys[-1]] = value
