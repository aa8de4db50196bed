"""A real submission server that wants logins: Postfix's smtpd over TLS, with Dovecot's auth service behind it.

with sasl_server(certificate) as server: server.port; LOGIN and PASSWORD log in; `server.token` is a bearer token.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local.ports import free_ports, is_listening
from tests.integration.delivery.waiting import wait_until

LOGIN = "ann@ours.test"
PASSWORD = "p\u00e4ss, =word"
_DAEMONS = Path("/usr/lib/postfix/sbin")
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
MISSING = any(shutil.which(name, path=_PATH) is None for name in ("postfix", "dovecot")) or os.geteuid() != 0

_MAIN = """
compatibility_level = 3.6
daemon_directory = {daemons}
shlib_directory = /usr/lib/postfix
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = hop.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {certificate}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/auth
smtpd_sasl_security_options = noanonymous
smtpd_error_sleep_time = 0
smtpd_relay_restrictions = permit_sasl_authenticated, reject
default_transport = discard
relay_transport = discard
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
proxymap  unix  - - n -     - proxymap
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
anvil     unix  - - n -     1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""
_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login cram-md5 scram-sha-256 xoauth2
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service anvil {{
  chroot =
  # It would make each wrong password of an address slower than the last.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
"""
_OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = email
"""


@dataclass(frozen=True)
class SaslServer:
    """A running one. token: a bearer token of LOGIN's. expired_token: one that was."""

    port: int
    token: str
    expired_token: str
    folder: Path

    @property
    def log(self) -> str:
        """What Postfix logged."""
        return (self.folder / "mail.log").read_text()


@contextlib.contextmanager
def sasl_server(certificate: Path) -> Iterator[SaslServer]:
    """Run it. certificate: a PEM file with the key before its certificate."""
    (port,) = free_ports(1)
    environment = {"PATH": _PATH}
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-test-", ignore_cleanup_errors=True))
        )
        folder.chmod(0o755)
        for name in ("etc", "queue", "data", "keys/default/HS256"):
            (folder / name).mkdir(parents=True)
        shutil.chown(folder / "data", "postfix", "postfix")
        key = os.urandom(32)
        (folder / "keys/default/HS256/default").write_bytes(base64.b64encode(key))
        (folder / "users").write_text(f"{LOGIN}:{{PLAIN}}{PASSWORD}\n")
        (folder / "oauth2.conf").write_text(_OAUTH2.format(folder=folder))
        (folder / "dovecot.conf").write_text(_DOVECOT.format(folder=folder))
        values = {"folder": folder, "daemons": _DAEMONS, "certificate": certificate}
        (folder / "etc/main.cf").write_text(_MAIN.format(**values))
        (folder / "etc/master.cf").write_text(_MASTER.format(port=port))
        check = ["postfix", "-c", str(folder / "etc"), "check"]
        subprocess.run(check, check=True, stdin=subprocess.DEVNULL, env=environment)
        for command in (
            ["dovecot", "-F", "-c", str(folder / "dovecot.conf")],
            [str(_DAEMONS / "master"), "-c", str(folder / "etc"), "-s"],
        ):
            process = stack.enter_context(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL))
            stack.callback(process.terminate)
        wait_until(lambda: is_listening(port) and (folder / "auth").exists())
        yield SaslServer(port, _token(key), _token(key, -300), folder)


def _token(key: bytes, from_now_s: int = 0) -> str:
    """Return a JSON web token (RFC 7519) that is signed with a key."""
    now = int(time.time()) + from_now_s
    claims = {"sub": LOGIN, "email": LOGIN, "iat": now - 10, "nbf": now - 10, "exp": now + 120}
    said = ".".join(_url64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{said}.{_url64(hmac.digest(key, said.encode(), hashlib.sha256))}"


def _url64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
