"""What is kept of a password for SCRAM-SHA-256, and its text form (PURE).

Output: `ScramKeys`; the password cannot be had from them, except by trying (as often as `iterations` makes bearable).
Standards: RFC 5802 §3 (keys), RFC 7677; the text form is that of RFC 5803's scheme, with the hash in its name.
On failure: ValueError.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

MECHANISM = "SCRAM-SHA-256"
# RFC 7677 §4 asks for 4096 at least, and for more as machines grow faster: this is some 50 ms for a client.
ITERATIONS = 100_000
SALT_BYTES = 16
KEY_BYTES = 32
_TEXT = re.compile(r"SCRAM-SHA-256\$([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)\Z")


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """The verifier of one password."""

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def __str__(self) -> str:
        salt, stored, server = (
            base64.b64encode(part).decode("ascii") for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{MECHANISM}${self.iterations}:{salt}${stored}:{server}"


def derive_keys(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramKeys:
    """Return the keys of a password, which SASLprep has been through."""
    # RFC 5802 §3: SaltedPassword := Hi(Normalize(password), salt, i), and Hi is PBKDF2.
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(
        iterations, salt, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
    )


def parse_keys(text: str) -> ScramKeys:
    """Return the keys of their text form. Raises ValueError."""
    matched = _TEXT.match(text)
    if matched is None:
        raise ValueError("not the keys of SCRAM-SHA-256")
    try:
        salt, stored, server = (base64.b64decode(part, validate=True) for part in matched.groups()[1:])
    except binascii.Error:
        raise ValueError("not the keys of SCRAM-SHA-256") from None
    if not salt or len(stored) != KEY_BYTES or len(server) != KEY_BYTES:
        raise ValueError("not the keys of SCRAM-SHA-256")
    return ScramKeys(int(matched[1]), salt, stored, server)
