"""Others who verify DKIM signatures: OpenDKIM's own look at a message, and a real Rspamd that asks a nameserver."""

import http.client
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra.local import rspamd as local
from tests.rspamd import Rspamd


def opendkim(folder: Path, message: bytes, records: Mapping[str, str]) -> str:
    """Return what OpenDKIM would write into Authentication-Results. records: by name, all that DNS has."""
    (folder / "keys").write_text("".join(f"{name} {record}\n" for name, record in records.items()))
    (folder / "opendkim.conf").write_text(f"Mode v\nSyslog no\nTestPublicKeys {folder}/keys\n")
    (folder / "mail").write_bytes(message)
    command = ["/usr/sbin/opendkim", "-vvv", "-x", str(folder / "opendkim.conf"), "-t", str(folder / "mail")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout


def verifying_rspamd(folder: Path, nameserver: str) -> Rspamd:
    """Return an Rspamd that verifies signatures, not started yet."""
    rules = Path(local.__file__).parents[1] / "rspamd"
    options = (rules / "override.d/options.inc").read_text()
    return Rspamd(
        folder,
        nameserver=nameserver,
        rules={
            "off.conf": (rules / "off.conf").read_text().replace("\ndkim { enabled = false; }", ""),
            # Compiling the long list of top-level domains would take seconds, and verifying does not need it.
            "override.d/options.inc": f'{options}\nurl_tld = "$LOCAL_CONFDIR/local.d/top_level_domains";\n',
            "local.d/top_level_domains": "org\nnet\n",
        },
    )


def scan(engine: Rspamd, message: bytes) -> dict[str, list[str]]:
    """Return Rspamd's symbols with their options."""
    link = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=20)
    try:
        link.request("POST", "/checkv2", message, {"IP": "192.0.2.1", "From": "joe@example.org"})
        symbols = json.loads(link.getresponse().read())["symbols"]
    finally:
        link.close()
    return {name: symbol.get("options", []) for name, symbol in symbols.items()}
