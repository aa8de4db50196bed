"""A real slapd in a folder of its own, with a few people in it.

with slapd(folder) as directory: Directory(directory.settings()) …; directory.stop() makes it unavailable.
"""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.edge.settings import LdapSettings

BASE = "dc=ours,dc=test"
SERVICE = f"cn=gatepost,{BASE}"
SERVICE_PASSWORD = "only reads"
PASSWORD = "in the directory"
MISSING = shutil.which("slapd", path="/usr/sbin:/sbin:/usr/bin") is None
_STARTS_WITHIN_S = 15.0

_CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {certificate}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {certificate}
{extra}
database mdb
maxsize 10485760
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw admin
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous auth
"""

_PERSON = """
dn: uid={uid},ou=people,{base}
objectClass: inetOrgPerson
uid: {uid}
cn: {uid}
sn: {uid}
userPassword: {password}
{mails}
"""


@dataclass
class Slapd:
    """A running slapd. port: of ldap://, with STARTTLS; tls_port: of ldaps://."""

    folder: Path
    certificate: Path
    port: int
    tls_port: int
    extra: str = ""
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def settings(self, **changed: Any) -> LdapSettings:
        """Return settings that search with the service account."""
        values: dict[str, Any] = {
            "uri": f"ldap://localhost:{self.port}",
            "ca_file": self.certificate,
            "search_base": f"ou=people,{BASE}",
            "recipient_filter": "(mail={address})",
            "bind_dn": SERVICE,
            "bind_password": SERVICE_PASSWORD,
            "timeout_s": 2,
        }
        return LdapSettings(**{**values, **changed})

    def start(self) -> None:
        """Serve; returns once it answers."""
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        command = ["/usr/sbin/slapd", "-h", urls, "-f", str(self.folder / "slapd.conf"), "-d", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, "slapd ended"
                assert time.monotonic() < end, "slapd did not start"
                time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@contextlib.contextmanager
def slapd(folder: Path, extra: str = "") -> Iterator[Slapd]:
    """Run a slapd. extra: more lines of its configuration. Skips the test where there is none."""
    if MISSING:
        pytest.skip("slapd is not installed")
    certificate = _certificate(folder)
    (folder / "db").mkdir()
    (folder / "slapd.conf").write_text(_CONF.format(folder=folder, certificate=certificate, base=BASE, extra=extra))
    (folder / "people.ldif").write_text(_people())
    command = ["/usr/sbin/slapadd", "-f", str(folder / "slapd.conf"), "-l", str(folder / "people.ldif")]
    added = subprocess.run(command, capture_output=True, text=True, check=False)
    assert added.returncode == 0, added.stderr
    running = Slapd(folder, certificate, _free_port(), _free_port(), extra)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def _people() -> str:
    parts = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: ours\ndc: ours\n",
        f"\ndn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n",
        f"\ndn: {SERVICE}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: gatepost\n",
        f"userPassword: {SERVICE_PASSWORD}\n",
    ]
    people = {
        "dora": ["dora@ours.test", "Dora.Doe@ours.test"],
        "emil": ["@ours.test", "emil@ours.test"],
        "anna+x=y,z": ["anna@ours.test"],
        "twin": ["twins@ours.test"],
        "other": ["twins@ours.test"],
        "mute": [],
    }
    for uid, mails in people.items():
        name = uid.replace("+", "\\2b").replace("=", "\\3d").replace(",", "\\2c")
        lines = "\n".join(f"mail: {mail}" for mail in mails)
        person = _PERSON.format(uid=uid, base=BASE, password=PASSWORD, mails=lines)
        parts.append(person.replace(f"dn: uid={uid}", f"dn: uid={name}").rstrip("\n") + "\n")
    return "".join(parts)


def _certificate(folder: Path) -> Path:
    path = folder / "slapd.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command += ["-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
