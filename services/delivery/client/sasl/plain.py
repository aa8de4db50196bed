"""PLAIN, LOGIN and XOAUTH2, which give the secret to the hop (PURE). The policy asks for verified TLS with them.

Standards: RFC 4616 (PLAIN), draft-murchison-sasl-login-00 (LOGIN), RFC 6750 §2.1 (what a bearer token may hold);
XOAUTH2 is Google's and Microsoft's, as their pages describe it.
On failure: SaslError.
"""

import json
import re

from services.delivery.client.sasl.login import SaslError

# RFC 6750 §2.1: b64token.
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*\Z")
_COMPLAINT_LIMIT = 200


class Plain:
    """PLAIN: all in the initial response."""

    is_slow = False
    trusts = True
    complaint = ""

    def __init__(self, login: str, password: str) -> None:
        # RFC 4616 §2: NUL separates.
        if "\0" in login or "\0" in password:
            raise SaslError("a login with a NUL cannot be said")
        self._said = f"\0{login}\0{password}".encode()

    def begin(self) -> bytes:
        """Return who we are, and the proof. RFC 4616 §2: we act as nobody but ourselves."""
        return self._said

    def respond(self, challenge: bytes) -> bytes:
        """Refuse: there is no more to say."""
        raise SaslError(f"PLAIN has no challenges, but the host gave one of {len(challenge)} octets")


class AskedLogin:
    """LOGIN: the host asks for the name, then for the password, in words that differ from server to server."""

    is_slow = False
    complaint = ""

    def __init__(self, login: str, password: str) -> None:
        self._left = [login.encode(), password.encode()]

    def begin(self) -> bytes | None:
        """Wait to be asked: not all servers take an initial response."""
        return None

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002 - whatever the words are
        """Return what is asked for."""
        if not self._left:
            raise SaslError("the host asked for more than name and password")
        return self._left.pop(0)

    @property
    def trusts(self) -> bool:
        """Whether all was asked for."""
        return True


class BearerToken:
    """XOAUTH2: a token in place of a password."""

    is_slow = False
    trusts = True

    def __init__(self, login: str, token: str) -> None:
        if not _TOKEN.match(token):
            raise SaslError("the secret is no bearer token (RFC 6750): put the token alone into its file")
        if "\x01" in login:
            raise SaslError("a login with a control character cannot be said")
        self.complaint = ""
        self._said = f"user={login}\x01auth=Bearer {token}\x01\x01".encode()

    def begin(self) -> bytes:
        """Return name and token."""
        return self._said

    def respond(self, challenge: bytes) -> bytes:
        """Take the complaint, which is a challenge in form; once answered with nothing, the refusal itself comes."""
        if self.complaint:
            raise SaslError("the host gave a challenge where it was to refuse us")
        self.complaint = _shown(challenge)
        return b""


def _shown(challenge: bytes) -> str:
    """Return what of a complaint tells an administrator something."""
    try:
        said = json.loads(challenge)
    except (ValueError, RecursionError):
        said = None
    status = said.get("status") if isinstance(said, dict) else None
    text = f"status {status}" if status is not None else challenge.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)[:_COMPLAINT_LIMIT] or "no reason given"
