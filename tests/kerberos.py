"""A real MIT KDC with a realm of its own in a folder of its own.

with kdc(folder) as realm: Kerberos(realm.settings(), "gate.test") …; realm.log_in("alice") gets a ticket into a cache.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.edge.settings import KerberosSettings

REALM = "OURS.TEST"
HOST = "gate.test"
PASSWORD = "ticket please"
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
MISSING = any(shutil.which(command, path=PATH) is None for command in ("krb5kdc", "kadmin.local", "kinit"))
_STARTS_WITHIN_S = 15.0

_CLIENT_CONF = """
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
[domain_realm]
{host} = {realm}
"""
_KDC_CONF = """
[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/acl
}}
[logging]
kdc = FILE:{folder}/kdc.log
"""


@dataclass(frozen=True)
class Kdc:
    """A running KDC."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What programs need to know it."""
        return {
            "PATH": PATH,
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5RCACHENAME": f"dfl:{self.folder}/rcache",
        }

    @property
    def keytab(self) -> Path:
        """The service's keys."""
        return self.folder / "smtp.keytab"

    def settings(self, **changed: Any) -> KerberosSettings:
        """Return settings of this realm."""
        return KerberosSettings(**{"keytab_file": self.keytab, "realm": REALM, **changed})

    def admin(self, command: str) -> None:
        """Have kadmin.local do something."""
        self.run("kadmin.local", "-r", REALM, "-q", command)

    def log_in(self, user: str, password: str = PASSWORD) -> Path:
        """Get a user's ticket; return the file it is in."""
        cache = self.folder / f"cache-{user.replace('/', '-')}"
        self.run("kinit", "-c", f"FILE:{cache}", user, typed=f"{password}\n")
        return cache

    def run(self, *command: str, typed: str = "") -> None:
        """Run a command that has to succeed."""
        done = subprocess.run(
            command, input=typed, env=self.environment, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@contextlib.contextmanager
def kdc(folder: Path) -> Iterator[Kdc]:
    """Run a KDC, and have this process know it. Skips the test where there is none."""
    if MISSING:
        pytest.skip("krb5-kdc, krb5-admin-server and krb5-user are not all installed")
    port = _free_port()
    (folder / "krb5.conf").write_text(_CLIENT_CONF.format(realm=REALM, port=port, host=HOST))
    (folder / "kdc.conf").write_text(_KDC_CONF.format(realm=REALM, port=port, folder=folder))
    (folder / "acl").write_text("")
    realm = Kdc(folder)
    realm.run("kdb5_util", "create", "-r", REALM, "-s", "-P", "master")
    for user in ("alice", "gone", "stranger", "alice/admin"):
        realm.admin(f'addprinc -pw "{PASSWORD}" {user}')
    for service in ("smtp", "imap"):
        realm.admin(f"addprinc -randkey {service}/{HOST}")
        realm.admin(f"ktadd -k {realm.keytab} {service}/{HOST}")
    command = ["krb5kdc", "-n", "-r", REALM]
    process = subprocess.Popen(
        command, env=realm.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, executable=_krb5kdc()
    )
    before = {name: os.environ.get(name) for name in realm.environment if name != "PATH"}
    os.environ.update({name: value for name, value in realm.environment.items() if name != "PATH"})
    try:
        _wait_for(port, process)
        yield realm
    finally:
        process.terminate()
        process.wait(10)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _krb5kdc() -> str:
    found = shutil.which("krb5kdc", path=PATH)
    assert found
    return found


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "krb5kdc ended"
            assert time.monotonic() < end, "krb5kdc did not start"
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
