"""Writes the local gateway's settings, secrets, certificate and zone file (I/O: files).

Owns: var/settings, var/tls and var/dns. Secrets, keys and certificates are made once and kept; settings are written
anew at every start from infra/local/templates, with the files of GATEPOST_SETTINGS laid over them.
Output: what each program starts with, and `Generated`, what the one who starts them needs to know.
On failure: SettingsError naming the file and what is wrong.
"""

import base64
import json
import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import tomlkit
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.local.clamd import ClamdSettings
from infra.local.layout import LOCAL, Layout
from infra.local.rabbitmq import NodeSettings
from infra.local.rspamd import RspamdSettings
from infra.local.run_as import edge_rights, give_files
from services.console.authority import Authority
from services.console.settings import ConsoleSettings
from services.content.settings import ContentSettings
from services.delivery.settings import DeliverySettings
from services.edge.settings import EdgeSettings
from shared.errors import SettingsError
from shared.settings import load_settings

HOSTNAME = "mx.gatepost.test"
DKIM_SELECTOR = "demo"
_SECRETS = (
    *("admin_password", "monitor_password", "loop_key", "rewriting_secret", "rspamd_password"),
    "console_secret",
    *("edge_password", "content_password", "delivery_password", "console_password"),
)
Table = dict[str, object]


@dataclass(frozen=True, slots=True)
class Generated:
    """The checked settings of every program."""

    rabbitmq: NodeSettings
    clamd: ClamdSettings
    rspamd: RspamdSettings
    edge: EdgeSettings
    content: ContentSettings
    delivery: DeliverySettings
    console: ConsoleSettings

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines to run here, the broker first; Rspamd only where content asks it."""
        asked = self.content.antispam
        asks_ours = asked.engine == "rspamd" and _address(self.rspamd.port) in asked.addresses
        return ("rabbitmq", "clamd", *(["rspamd"] if asks_ours else []))


def generate(layout: Layout) -> Generated:
    """Write everything, and return the settings as the programs will read them. Raises SettingsError."""
    layout.make_folders()
    _write_certificate(layout)
    _write_zone(layout)
    values: Table = {
        **_kept_secrets(layout.settings / "secrets.toml"),
        "hostname": HOSTNAME,
        "data": str(layout.data),
        "secrets_dir": str(layout.secrets),
        "rabbitmq_data": str(layout.data / "rabbitmq"),
        "rspamd_compiled": str(layout.data / "rspamd"),
        "certificate_file": str(layout.tls / "certificate.pem"),
        "key_file": str(layout.tls / "key.pem"),
        "zone_file": str(layout.zone_file),
        "database_url": f"sqlite:///{layout.database}",
        "policy_file": str(layout.policy_file),
    }
    for engine in ("rabbitmq", "clamd", "rspamd"):
        _write_settings(layout, engine, values)
    rabbitmq = load_settings(NodeSettings, layout.settings_file("rabbitmq"), {})
    clamd = load_settings(ClamdSettings, layout.settings_file("clamd"), {})
    rspamd = load_settings(RspamdSettings, layout.settings_file("rspamd"), {})
    values |= {
        "amqp_port": rabbitmq.amqp_port,
        "management_url": rabbitmq.management_url,
        "admin_user": rabbitmq.admin_user,
        "admin_password": rabbitmq.admin_password,
        "clamd_address": _address(clamd.port),
        "rspamd_address": _address(rspamd.port),
        "rspamd_controller": _address(rspamd.controller_port),
        "rspamd_password": rspamd.password,
    }
    for service in ("content", "delivery"):
        _write_settings(layout, service, values)
    _write_settings(layout, "edge", values, edge_rights(layout, am_root=os.geteuid() == 0))
    edge = load_settings(EdgeSettings, layout.settings_file("edge"), {})
    content = load_settings(ContentSettings, layout.settings_file("content"), {})
    delivery = load_settings(DeliverySettings, layout.settings_file("delivery"), {})
    if edge.run_as is not None and os.geteuid() == 0:
        give_files(layout, edge.run_as)
    health = {"edge": edge.health, "content": content.health, "delivery": delivery.health}
    values |= _for_the_doctor(content)
    values |= {f"{service}_url": f"http://127.0.0.1:{there.port}" for service, there in health.items()}
    # The recorder's own port stands in its own file, perhaps changed there: first written, then known.
    _write_settings(layout, "console", values | {"recorder_url": "http://127.0.0.1:9104"})
    console = load_settings(ConsoleSettings, layout.settings_file("console"), {})
    _write_settings(layout, "console", values | {"recorder_url": f"http://127.0.0.1:{console.health.port}"})
    console = load_settings(ConsoleSettings, layout.settings_file("console"), {})
    return Generated(rabbitmq, clamd, rspamd, edge, content, delivery, console)


def merged(below: Mapping[str, object], above: Mapping[str, object]) -> Table:
    """Return the one table laid over the other; tables inside are merged, everything else is replaced (PURE)."""
    result: Table = dict(below)
    for key, value in above.items():
        there = result.get(key)
        result[key] = merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
    return result


def filled_in(template: str, values: Mapping[str, object]) -> str:
    """Return a template with its `$names` as TOML values (PURE). Raises KeyError for a name that has no value."""
    # JSON's strings and numbers are TOML's, too.
    return Template(template).substitute({name: json.dumps(value) for name, value in values.items()})


def _for_the_doctor(content: ContentSettings) -> Table:
    asked = content.antispam
    return {
        "doctor_clamd": content.clamd.addresses,
        "doctor_icap": content.icap.url,
        **{f"doctor_{engine}": asked.addresses if asked.engine == engine else [] for engine in ("rspamd", "spamd")},
    }


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"


def _write_settings(
    layout: Layout, program: str, values: Mapping[str, object], more: Mapping[str, object] | None = None
) -> None:
    template = (LOCAL / "templates" / f"{program}.toml").read_text(encoding="utf-8")
    # First what is more: a key of the file's own table must stand before the tables.
    table: Table = merged(more or {}, tomllib.loads(filled_in(template, values)))
    over = layout.overrides / f"{program}.toml" if layout.overrides else None
    if over is not None and over.exists():
        try:
            table = merged(table, tomllib.loads(over.read_text(encoding="utf-8")))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{over}: {error}") from None
    head = f"# Written by `make run` from infra/local/templates/{program}.toml at every start.\n"
    head += "# Changes belong into a file of the same name in the folder that GATEPOST_SETTINGS names.\n\n"
    _write_private(layout.settings_file(program), (head + tomlkit.dumps(table)).encode())


def _kept_secrets(path: Path) -> Table:
    kept = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in _SECRETS:
        kept.setdefault(name, secrets.token_hex(16))
    _write_private(path, tomlkit.dumps(kept).encode())
    return kept


def _write_certificate(layout: Layout) -> None:
    authority = Authority(layout.tls)
    certificate, key = authority.server_certificate("server", (HOSTNAME, "localhost", "127.0.0.1"))
    _write_private(layout.tls / "authority.pem", authority.certificate_pem)
    _write_private(layout.tls / "certificate.pem", certificate)
    _write_private(layout.tls / "key.pem", key)


def _write_zone(layout: Layout) -> None:
    if not layout.dkim_key.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.TraditionalOpenSSL
        _write_private(
            layout.dkim_key, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        )
    key_pem = serialization.load_pem_private_key(layout.dkim_key.read_bytes(), None)
    public = key_pem.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
    # RFC 1035 §3.3: a string holds 255 octets; a longer record is several strings.
    pieces = " ".join(f'"{record[start : start + 250]}"' for start in range(0, len(record), 250))
    template = Template((LOCAL / "zones" / "test.zone").read_text(encoding="utf-8"))
    layout.zone_file.write_text(template.substitute(dkim_record=pieces), encoding="utf-8")


def _write_private(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all."""
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.rename(path)
