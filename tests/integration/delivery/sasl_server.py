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
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.delivery.postfix_hop import postfix_in
from tests.integration.delivery.real_hops import PATH, public_folder, running

LOGIN = "ann@ours.test"
PASSWORD = "p\u00e4ss, =word"
MISSING = any(shutil.which(name, path=PATH) is None for name in ("postfix", "dovecot")) or os.geteuid() != 0

_POSTFIX = """
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {certificate}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/auth
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
default_transport = discard
relay_transport = discard
header_checks = regexp:{{{{/^Received:/ INFO}}}}
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
        """What Postfix logged, with how each message was received."""
        return (self.folder / "mail.log").read_text()


@contextlib.contextmanager
def sasl_server(certificate: Path) -> Iterator[SaslServer]:
    """Run it. certificate: a PEM file with the key before its certificate."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(public_folder())
        (folder / "keys/default/HS256").mkdir(parents=True)
        key = os.urandom(32)
        (folder / "keys/default/HS256/default").write_bytes(base64.b64encode(key))
        (folder / "users").write_text(f"{LOGIN}:{{PLAIN}}{PASSWORD}\n")
        (folder / "oauth2.conf").write_text(_OAUTH2.format(folder=folder))
        (folder / "dovecot.conf").write_text(_DOVECOT.format(folder=folder))
        dovecot = ["dovecot", "-F", "-c", str(folder / "dovecot.conf")]
        stack.enter_context(running(*dovecot, until=(folder / "auth").exists))
        settings = _POSTFIX.format(folder=folder, certificate=certificate)
        (port,) = stack.enter_context(postfix_in(folder, settings, ()))
        yield SaslServer(port, _token(key), _token(key, -300), folder)


def _token(key: bytes, from_now_s: int = 0) -> str:
    """Return a JSON web token (RFC 7519) that is signed with a key."""
    now = int(time.time()) + from_now_s
    claims = {"sub": LOGIN, "email": LOGIN, "iat": now - 10, "nbf": now - 10, "exp": now + 120}
    said = ".".join(_url64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{said}.{_url64(hmac.digest(key, said.encode(), hashlib.sha256))}"


def _url64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
