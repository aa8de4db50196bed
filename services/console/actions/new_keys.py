"""New DKIM key pairs, and what their selectors are called (PURE but for the randomness of a key).

Standards: RFC 6376 §3.1 (selectors), RFC 8301 §3.2 (2048 bits), RFC 8463.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.dkim_keys import RSA_BITS, KeyAlgorithm, PrivateKey

_PUBLIC_EXPONENT = 65537
SUFFIXES = {KeyAlgorithm.RSA: "rsa", KeyAlgorithm.ED25519: "ed"}
# RFC 6376 §3.1: a selector is labels of a domain name; the suffix still has to fit into one.
PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,50}[a-z0-9])?\Z")
_NUMBERED = re.compile(r"gp(\d{4})([a-z]+)-")


def next_prefix(selectors: Sequence[str], now: float) -> str:
    """Return the next prefix that the domain has not had among these: gp2026a, gp2026b … gp2026z, gp2026aa (PURE)."""
    year = datetime.fromtimestamp(now, tz=UTC).year
    numbers = [_number(found[2]) for found in map(_NUMBERED.match, selectors) if found and int(found[1]) == year]
    return f"gp{year}{_letters(max(numbers, default=0) + 1)}"


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number


def _letters(number: int) -> str:
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def make_pair() -> list[tuple[KeyAlgorithm, PrivateKey]]:
    """Return a new key of each algorithm. Takes tenths of a second."""
    return [
        (KeyAlgorithm.RSA, generate_private_key(_PUBLIC_EXPONENT, RSA_BITS)),
        (KeyAlgorithm.ED25519, Ed25519PrivateKey.generate()),
    ]


def pem(private: PrivateKey) -> str:
    """Return the private key as PKCS #8 in PEM."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
