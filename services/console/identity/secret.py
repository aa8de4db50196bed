"""Secrets that a browser or a program holds, and what is kept of them (PURE but for randomness).

A secret has 256 random bits, so its SHA-256 digest can be kept as it is: there is nothing to guess.
"""

import hashlib
import secrets

TOKEN_PREFIX = "gp_"
_OCTETS = 32


def new_secret(prefix: str = "") -> str:
    """Return a new secret as URL-safe text."""
    return prefix + secrets.token_urlsafe(_OCTETS)


def digest_of(secret: str) -> str:
    """Return what is kept of a secret: 64 hex digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
