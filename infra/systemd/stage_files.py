"""What each service on this host reads: its settings and certificates, in /etc/gatepost (I/O: files).

Owns: settings from the templates, written once and never again; the pair for AMQPS, written whenever it is another; the
first certificate of the SMTP listeners, which yours replaces.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from string import Template

import tomlkit

from infra.systemd.host import Host
from infra.systemd.shared_settings import MANAGEMENT_PORT, Table
from services.console.host_bundle import CA, CERTIFICATE, KEY

TEMPLATES = Path(__file__).parent / "settings"
ETC = "/etc/gatepost"
STAGES = ("edge", "content", "delivery", "console")
LOCAL_AMQP_PORT = 5672
_DATABASE = "sqlite:////var/lib/gatepost-console/gatepost.db"
# Where Debian's packages listen, as content.toml has it.
_ENGINES = {"clamd": ["/run/clamav/clamd.ctl"], "rspamd": ["127.0.0.1:11333"]}


def write_certificates(host: Host, stage: str, pair: Mapping[str, bytes]) -> bool:
    """Give a service its pair for AMQPS, and the authority's; return whether they are new to it."""
    user = f"gatepost-{stage}"
    folder = f"{ETC}/{stage}"
    host.folder(folder, 0o700, user)
    old = host.path(f"{folder}/{CERTIFICATE}")
    was = old.read_bytes() if old.exists() else b""
    changed = [host.write(f"{folder}/{name}", pair[name], 0o600, user) for name in (CA, KEY, CERTIFICATE)]
    if stage == "edge":
        shown = host.path(f"{folder}/fullchain.pem")
        # The listeners show our own certificate until there is a better one, and its next one with it.
        if not shown.exists() or shown.read_bytes() == was:
            host.write(f"{folder}/privkey.pem", pair[KEY], 0o600, user)
            host.write(f"{folder}/fullchain.pem", pair[CERTIFICATE], 0o600, user)
    return any(changed)


def write_settings(host: Host, stage: str, hostname: str, shared: Table, here: Collection[str]) -> bool:
    """Write a service's settings file unless it is there; return whether it was written.

    here: what else is installed on this host, of broker and stages.
    """
    broker_is_here = "broker" in here
    values: Table = {
        "hostname": hostname,
        **{key: value for key, value in shared.items() if not isinstance(value, dict)},
    }
    if "web" in shared:
        values["web_secret"] = shared["web"]["secret"]
    values |= {engine: addresses if "content" in here else [] for engine, addresses in _ENGINES.items()}
    tables: Table = {"broker": _broker(stage, shared["broker"], broker_is_here=broker_is_here)}
    if "management" in shared:
        management = {**shared["management"], "ca_file": f"{ETC}/{stage}/{CA}"}
        if broker_is_here:
            management["url"] = f"https://127.0.0.1:{MANAGEMENT_PORT}"
        tables["management"] = management
    return host.write_once(f"{ETC}/{stage}.toml", _filled(stage, values, tables), 0o600, f"gatepost-{stage}")


def write_installer_settings(
    host: Host, hostname: str, console: Table, password: str, *, console_is_here: bool
) -> None:
    """Write the settings with which root applies the topology, once, on the broker's host."""
    elsewhere = "sqlite:////nonexistent/the-console-and-its-audit-are-on-another-host"
    values = {
        "hostname": hostname,
        "admin_password": password,
        "database_url": _DATABASE if console_is_here else elsewhere,
    }
    here = {"url": f"https://127.0.0.1:{MANAGEMENT_PORT}", "ca_file": f"/etc/rabbitmq/gatepost/{CA}"}
    management = {**console["management"], **here}
    tables: Table = {"broker": _broker("console", console["broker"], broker_is_here=True), "management": management}
    host.write_once(f"{ETC}/installer.toml", _filled("installer", values, tables), 0o600)


def _broker(stage: str, shared: Table, *, broker_is_here: bool) -> Table:
    who = {"user": shared["user"], "password": shared["password"]}
    if broker_is_here:
        return {"host": "127.0.0.1", "port": LOCAL_AMQP_PORT, **who}
    files = {"ca_file": CA, "certificate_file": CERTIFICATE, "key_file": KEY}
    return {**shared, **{key: f"{ETC}/{stage}/{name}" for key, name in files.items()}}


def _filled(name: str, values: Mapping[str, object], tables: Table) -> bytes:
    template = (TEMPLATES / f"{name}.toml").read_text(encoding="utf-8")
    # JSON's strings and lists are TOML's, too.
    text = Template(template).substitute({key: json.dumps(value) for key, value in values.items()})
    return (text + tomlkit.dumps(tables)).encode()
