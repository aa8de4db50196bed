"""The settings of the services on this host, as far as we may read them (I/O: files).

Output: tables as they stand in the files; what the environment says over them is not known here. A file that is not
there, or not ours to read, has no table: each service has a user of its own where it was installed so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.console.settings import ConsoleSettings
from shared.errors import SettingsError
from shared.settings import read_private_toml

STAGES = ("edge", "content", "delivery")
Table = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that a service listens at. kind: "smtp", "tls" (SMTP in TLS), "health", "web". owner: whose it is."""

    owner: str
    kind: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate file with its key's. host: the name that it should bear. has_browsers: who looks at it."""

    owner: str
    certificate: Path
    key: Path | None
    host: str
    has_browsers: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """tables: by service. hidden: services whose file is there, but not to be read."""

    tables: Mapping[str, Table]
    hidden: tuple[str, ...]


def look_beside(console: Path) -> Beside:
    """Read the settings files beside our own."""
    tables: dict[str, Table] = {}
    hidden = []
    for service in STAGES:
        path = console.parent / f"{service}.toml"
        try:
            if path.exists():
                tables[service] = read_private_toml(path)
        except (SettingsError, OSError):
            hidden.append(service)
    return Beside(tables, tuple(hidden))


def sockets(beside: Beside, settings: ConsoleSettings) -> list[Socket]:
    """Return the sockets that the services of this host listen at, ours included."""
    found = [Socket("console", "health", settings.health.address, settings.health.port)]
    if settings.web is not None:
        found.append(Socket("console", "web", settings.web.address, settings.web.port))
    for service, table in beside.tables.items():
        health = _table(table.get("health"))
        found.append(Socket(service, "health", _text(health.get("address")) or "127.0.0.1", _port(health)))
    for name, listener in _listeners(beside):
        kind = "tls" if name == "submissions" else "smtp"
        found.append(Socket(f"edge's {name}", kind, _text(listener.get("address")) or "127.0.0.1", _port(listener)))
    return [socket for socket in found if socket.port]


def pairs(beside: Beside, settings: ConsoleSettings) -> list[Pair]:
    """Return the certificates of all listeners of this host, and of those that `[doctor]` names, each file once."""
    found = list(_pairs(beside, settings))
    known = {pair.certificate for pair in found}
    return found + [Pair("[doctor]", path, None, "") for path in settings.doctor.certificate_files if path not in known]


def _pairs(beside: Beside, settings: ConsoleSettings) -> Iterator[Pair]:
    seen: set[Path] = set()
    edge = beside.tables.get("edge", {})
    host = (_text(edge.get("hostname")) or settings.hostname).lower()
    for name, listener in _listeners(beside):
        more = listener.get("certificates")
        tables = [listener, *(more if isinstance(more, list | tuple) else [])]
        for place, table in enumerate(map(_table, tables)):
            certificate, key = _text(table.get("certificate_file")), _text(table.get("key_file"))
            if certificate and Path(certificate) not in seen:
                seen.add(Path(certificate))
                # Those that follow the first are for other names.
                yield Pair(f"edge's {name}", Path(certificate), Path(key) if key else None, "" if place else host)
    if settings.web is not None:
        url = settings.web.public_url.removeprefix("https://").partition(":")[0]
        name = (url or settings.hostname).lower()
        yield Pair("the console", settings.web.certificate_file, settings.web.key_file, name, has_browsers=True)


def _listeners(beside: Beside) -> Iterator[tuple[str, Table]]:
    for name, listener in _table(beside.tables.get("edge", {}).get("listeners")).items():
        if isinstance(listener, dict):
            yield name, listener


def _table(value: object) -> Table:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _port(table: Table) -> int:
    port = table.get("port")
    return port if isinstance(port, int) else 0
