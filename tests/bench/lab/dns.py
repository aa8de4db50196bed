"""Owns the name server of the bench: a private `named` that is the authority for everything.

Output: answers on 127.0.0.1 for the sending domain (SPF, DKIM, DMARC) and NXDOMAIN for the rest of the world,
so that no peer waits for the outside.
On failure: ChildFailed.
"""

import shutil
import tempfile
from pathlib import Path

from tests.bench.lab.child import Child

# Debian's AppArmor profile lets named read and write below this folder alone.
_PLACE = Path("/var/cache/bind")

_CONFIG = """\
options {{
    directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    dnssec-validation no;
    notify no;
}};
controls {{ }};
zone "." {{ type primary; file "root.zone"; }};
"""

# One zone for the whole world: what is not here does not exist.
_ZONE = """\
$TTL 3600
. IN SOA ns.bench.test. hostmaster.bench.test. 1 3600 600 86400 3600
. IN NS ns.bench.test.
$ORIGIN bench.test.
@ IN MX 10 client
@ IN TXT "v=spf1 ip4:127.0.0.1 -all"
ns IN A 127.0.0.1
client IN A 127.0.0.1
_dmarc IN TXT "v=DMARC1; p=reject"
{selector}._domainkey IN TXT {key}
"""


class NameServer:
    """The authority for bench.test."""

    def __init__(self, port: int, selector: str, public_key: str) -> None:
        """public_key: base64 of the DER, as in the `p=` tag of a DKIM key record."""
        self.port = port
        self._folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-", dir=_PLACE))
        self._folder.chmod(0o755)
        record = f"v=DKIM1; k=rsa; p={public_key}"
        # RFC 1035 §3.3: one character-string of a TXT record holds at most 255 octets.
        key = " ".join(f'"{record[at : at + 250]}"' for at in range(0, len(record), 250))
        (self._folder / "named.conf").write_text(_CONFIG.format(folder=self._folder, port=port))
        (self._folder / "root.zone").write_text(_ZONE.format(selector=selector, key=key))
        self._child: Child | None = None

    def start(self) -> None:
        """Return when queries are answered."""
        argv = ["/usr/sbin/named", "-g", "-n", "1", "-c", str(self._folder / "named.conf")]
        self._child = Child(argv, self._folder / "named.log")
        self._child.wait_for_port(self.port)

    @property
    def pid(self) -> int:
        """The id of the running server."""
        assert self._child is not None, "not started"
        return self._child.pid

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._child is not None:
            self._child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
