"""The SASL mechanisms PLAIN, LOGIN and CRAM-MD5 (PURE).

Standards: RFC 4616 (PLAIN), RFC 2195 (CRAM-MD5); LOGIN has no standard and is as draft-murchison-sasl-login-00 says.
On failure: MechanismError with the reply to give.
"""

import hmac
import re
from collections.abc import Callable

from services.edge.auth.exchange import (
    PASSWORD_LIMIT,
    Credentials,
    Exchange,
    MechanismError,
    Proof,
    invalid,
    malformed,
    prepared,
)
from shared.saslprep import SaslprepError, saslprep

_CRAM_RESPONSE = re.compile(rb"(.+) ([0-9a-f]{32})\Z", re.DOTALL)


def plain(initial: bytes | None) -> Exchange:
    """PLAIN: `authzid NUL authcid NUL password` in one response."""
    response = initial if initial is not None else _sent((yield b""))
    parts = response.split(b"\0")
    if len(parts) != 3:
        malformed("PLAIN needs two NUL octets")
    authorization, login, password = parts
    # RFC 4616 §2: acting for somebody else is not offered here.
    if authorization not in (b"", login):
        invalid()
    return _credentials(login, password)


def login(initial: bytes | None) -> Exchange:
    """LOGIN: name, then password. The name may come with the command, as some clients send it."""
    name = initial if initial is not None else _sent((yield b"Username:"))
    password = _sent((yield b"Password:"))
    return _credentials(name, password)


def cram_md5(initial: bytes | None, challenge: bytes, secret_of: Callable[[str], str | None]) -> Exchange:
    """CRAM-MD5: an HMAC of our challenge. secret_of: the password of a login, None if it has none for this."""
    if initial is not None:
        # RFC 4954 §4: where the server speaks first there is no initial response.
        raise MechanismError(501, "5.7.0", "CRAM-MD5 takes no initial response")
    matched = _CRAM_RESPONSE.match(_sent((yield challenge)))
    if matched is None:
        malformed("CRAM-MD5 needs a name and a digest")
    name = prepared(matched[1])
    secret = secret_of(name)
    # RFC 2195 §2: keyed with the secret; an unknown login costs the same.
    expected = hmac.digest((secret or "").encode(), challenge, "md5").hex().encode()
    right = hmac.compare_digest(expected, matched[2])
    return Proof(name, right and bool(secret))


def _sent(response: bytes | None) -> bytes:
    assert response is not None
    return response


def _credentials(name: bytes, password: bytes) -> Credentials:
    who = prepared(name)
    if not password or len(password) > PASSWORD_LIMIT:
        invalid()
    try:
        # RFC 4616 §2: both are prepared before they are compared, and what becomes empty fails.
        secret = saslprep(password.decode("utf-8")).encode()
    except (UnicodeDecodeError, SaslprepError):
        invalid()
    if not secret:
        invalid()
    return Credentials(who, secret)
