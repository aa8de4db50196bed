"""What the services of one gateway share, kept on the broker's host in /etc/gatepost/shared (I/O: files).

Owns: every secret of the gateway, made once, and a file per service with what it needs of them, as another host needs
it: `gatepost topology ca issue` packs these files into bundles, `gatepost topology apply` takes passwords from them.
"""

import secrets
import tomllib
from typing import Any

import tomlkit

from infra.systemd.host import Host

FOLDER = "/etc/gatepost/shared"
AMQPS_PORT, MANAGEMENT_PORT = 5671, 15671
MONITOR = "gatepost-monitor"
_STAGES = ("edge", "content", "delivery", "console")
_SECRETS = (*_STAGES, "admin", "monitor", "loop_key", "rewriting", "web")
Table = dict[str, Any]


def make_shared(host: Host, broker: str) -> dict[str, Table]:
    """Write and return what each service shares. broker: the name that other hosts reach it by; empty: as before."""
    host.folder(FOLDER, 0o700)
    kept = _kept(host, broker)
    tables: dict[str, Table] = {stage: {"broker": _broker(kept, stage)} for stage in _STAGES}
    tables["edge"] |= {"loop_key": kept["loop_key"], "rewriting_secrets": [kept["rewriting"]]}
    tables["delivery"] |= {"rewriting_secrets": [kept["rewriting"]]}
    tables["console"] |= {
        "web": {"secret": kept["web"]},
        "management": {
            "url": f"https://{kept['broker']}:{MANAGEMENT_PORT}",
            "user": MONITOR,
            "password": kept["monitor"],
        },
    }
    for stage, table in tables.items():
        host.write(f"{FOLDER}/{stage}.toml", tomlkit.dumps(table).encode(), 0o600)
    return tables


def admin_password(host: Host) -> str:
    """Return the password of RabbitMQ's administrator."""
    return str(tomllib.loads(host.path(f"{FOLDER}/secrets.toml").read_text(encoding="utf-8"))["admin"])


def broker_name(host: Host) -> str:
    """Return the name that the broker here goes by, or nothing where none is."""
    path = host.path(f"{FOLDER}/secrets.toml")
    return str(tomllib.loads(path.read_text(encoding="utf-8"))["broker"]) if path.exists() else ""


def _kept(host: Host, broker: str) -> Table:
    path = host.path(f"{FOLDER}/secrets.toml")
    kept: Table = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in _SECRETS:
        kept.setdefault(name, secrets.token_hex(24))
    kept["broker"] = broker or kept["broker"]
    host.write(f"{FOLDER}/secrets.toml", tomlkit.dumps(kept).encode(), 0o600)
    return kept


def _broker(kept: Table, stage: str) -> Table:
    return {"host": kept["broker"], "port": AMQPS_PORT, "tls": True, "user": stage, "password": kept[stage]}
