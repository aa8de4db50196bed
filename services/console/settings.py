"""What the recorder and the command `gatepost` need to start (I/O through shared.settings).

Owns: `ConsoleSettings`, and where the command finds its file when nothing names one.
On failure: SettingsError naming the file, the key and what is wrong.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from shared.errors import SettingsError
from shared.settings import FILE_VARIABLE, Section, ServiceSettings, load_settings

# Where `make run` and `make install` put the file, in the order in which the command looks.
USUAL_PLACES = (Path("var/settings/console.toml"), Path("/etc/gatepost/console.toml"))
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


def _with_driver(url: SecretStr) -> SecretStr:
    scheme, sign, rest = url.get_secret_value().partition("://")
    if not sign or scheme not in _DRIVERS:
        raise ValueError("expected sqlite:////path/to/file or postgresql://user:password@host:port/database")
    return SecretStr(f"{_DRIVERS[scheme]}://{rest}")


class DatabaseSettings(Section):
    """The SQL database. url: `sqlite:////path/to/file` (one machine) or `postgresql://user:password@host:port/name`."""

    url: Annotated[SecretStr, AfterValidator(_with_driver)]


class ManagementSettings(Section):
    """RabbitMQ's management API, for queue depths (a user with the tag `monitoring`) and for comparing the topology."""

    url: str = Field("http://127.0.0.1:15673", pattern="^https?://")
    user: str
    password: SecretStr
    ca_file: Path | None = None


class AdminSettings(Section):
    """A RabbitMQ user with the tag `administrator`, needed by `gatepost topology apply` alone."""

    user: str
    password: SecretStr


class ServiceUrls(Section):
    """Where each service's `/readyz` is; more than one replica: a load balancer's, or the first."""

    edge: str = Field("http://127.0.0.1:9101", pattern="^https?://")
    content: str = Field("http://127.0.0.1:9102", pattern="^https?://")
    delivery: str = Field("http://127.0.0.1:9103", pattern="^https?://")
    recorder: str = Field("http://127.0.0.1:9104", pattern="^https?://")


class DoctorSettings(Section):
    """What `gatepost doctor` looks at beside the rest: the engines that content asks, and files of this host.

    clamd, rspamd, spamd: `host:port`, or the path of a socket. icap: `icap://host:1344/service`.
    """

    clamd: list[str] = Field([], max_length=32)
    rspamd: list[str] = Field([], max_length=32)
    spamd: list[str] = Field([], max_length=32)
    icap: str = Field("", pattern="^(icap://.*)?$")
    policy_file: Path | None = None
    certificate_files: tuple[Path, ...] = ()
    disk_paths: tuple[Path, ...] = ()


class LearningSettings(Section):
    """The engine that `gatepost quarantine learn` teaches. address: `host:port` of Rspamd's controller, whose password
    this is, or of a spamd that runs with --allow-tell.
    """

    engine: Literal["rspamd", "spamd"] = "rspamd"
    address: str = "127.0.0.1:11334"
    password: SecretStr | None = None


class WebSettings(Section):
    """The console's pages and API. Where neither file of the pair exists, a self-signed certificate is made there.

    public_url: how browsers reach it: passkeys and links in mails are of this name; empty: https://hostname:port.
    secret: signs the links of quarantine reports and keys the users' recovery codes: a new one makes both void. At
    least 32 characters, the same in every console.
    """

    address: str = "127.0.0.1"
    port: int = Field(8443, ge=0, le=65535)
    certificate_file: Path
    key_file: Path
    public_url: str = Field("", pattern="^(https://[^/]+)?$")
    secret: SecretStr = Field(min_length=32)


class ConsoleSettings(ServiceSettings):
    """Settings of the recorder and the console. web: none serves no pages and no API."""

    database: DatabaseSettings
    web: WebSettings | None = None
    management: ManagementSettings | None = None
    admin: AdminSettings | None = None
    services: ServiceUrls = ServiceUrls()
    doctor: DoctorSettings = DoctorSettings()
    antispam: LearningSettings | None = None


def settings_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the settings file the command uses: GATEPOST_SETTINGS_FILE, else the first usual place that exists."""
    if environ.get(FILE_VARIABLE):
        return Path(environ[FILE_VARIABLE])
    for place in USUAL_PLACES:
        if place.exists():
            return place
    places = " nor ".join(str(place) for place in USUAL_PLACES)
    raise SettingsError(f"no settings: neither {places} exists here; name the file in {FILE_VARIABLE}")


def load_console_settings(environ: Mapping[str, str] = os.environ) -> ConsoleSettings:
    """Return the settings of the recorder and the command. Raises SettingsError."""
    return load_settings(ConsoleSettings, settings_path(environ), environ)
