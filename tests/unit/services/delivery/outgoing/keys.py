"""Keys for tests of signing."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.dkim_keys import DkimKey, KeyAlgorithm, KeyState, PrivateKey, load_private_key, record_of


@cache
def _pem(algorithm: KeyAlgorithm, selector: str, domain: str) -> str:
    del selector, domain  # a key of its own for each
    private: PrivateKey = (
        generate_private_key(65537, 2048) if algorithm is KeyAlgorithm.RSA else Ed25519PrivateKey.generate()
    )
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_of(
    selector: str,
    algorithm: KeyAlgorithm = KeyAlgorithm.ED25519,
    state: KeyState = KeyState.ACTIVE,
    *,
    domain: str = "example.org",
    keep_until: float | None = None,
) -> DkimKey:
    """Return a key; the same for the same name."""
    return DkimKey(domain, selector, algorithm, _pem(algorithm, selector, domain), state, keep_until)


def record(key: DkimKey) -> str:
    """Return what DNS should hold for it."""
    return record_of(load_private_key(key))
