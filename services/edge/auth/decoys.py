"""What logins that do not exist show of themselves (PURE): for SCRAM a salt, for it is sent to everybody who asks.

A login that does not exist has the same salt at each question, on each edge and after each start, and the same number
of iterations as those that do; nothing tells it from them.
"""

import hashlib
import hmac

from shared.scram import ITERATIONS, KEY_BYTES, SALT_BYTES, ScramKeys, parse_keys


def decoy_text(secret: bytes, login: str, sample: str | None) -> str:
    """Return keys in their text form, of which nobody knows a password. sample: keys of a login that exists."""
    # RFC 5802 §9: an attacker must not learn from the salt which logins there are.
    seed = hmac.digest(secret, b"scram " + login.encode(), "sha512")
    iterations = parse_keys(sample).iterations if sample else ITERATIONS
    key = hashlib.sha256(seed).digest()[:KEY_BYTES]
    return str(ScramKeys(iterations, seed[:SALT_BYTES], key, key))
