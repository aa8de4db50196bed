"""Owns a key as it signs: loaded once, with the record that must be in DNS for it (PURE).

Input: keys of the book. Output: `SigningKey`, and per domain those that may sign, in order (`Signatories`).
Standards: RFC 6376 §3.3 and §5.1, RFC 8463 §3.
On failure: a key that cannot be loaded is left out; `faults` says which and why.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from shared.dkim_keys import DkimKey, KeyAlgorithm, KeyState, load_private_key, record_name, record_of

_PADDING = PKCS1v15()
_SHA256 = SHA256()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A loaded key. record: the text that DNS must hold at `name`. keep_until: Unix seconds, of a retired key."""

    domain: str
    selector: str
    algorithm: KeyAlgorithm
    record: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)
    keep_until: float | None = None

    @property
    def name(self) -> str:
        """Where its record stands."""
        return record_name(self.selector, self.domain)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the data in base64."""
        if isinstance(self.private, RSAPrivateKey):
            return base64.b64encode(self.private.sign(data, _PADDING, _SHA256))
        # RFC 8463 §3: PureEdDSA over the SHA-256 digest.
        return base64.b64encode(self.private.sign(hashlib.sha256(data).digest()))


# For each algorithm that signs, the keys to try in turn: the active one, then retired ones that are still kept.
Signatories = tuple[tuple[SigningKey, ...], ...]


def signatories(keys: Iterable[DkimKey]) -> tuple[dict[str, Signatories], list[str]]:
    """Return the signatories by domain, and what is wrong with keys that were left out.

    A retired key stands in for an active one only, never alone: a domain whose keys are all retired does not sign.
    """
    ordered: dict[tuple[str, KeyAlgorithm], list[SigningKey]] = {}
    faults: list[str] = []
    # Active ones first; then those that were retired last.
    for key in sorted(keys, key=lambda key: (key.state is not KeyState.ACTIVE, -(key.keep_until or 0.0))):
        place = key.domain, key.algorithm
        if key.state is KeyState.PENDING or (key.state is KeyState.RETIRED and place not in ordered):
            continue
        try:
            private = load_private_key(key)
        except ValueError as error:
            faults.append(str(error))
            continue
        keep_until = key.keep_until if key.state is KeyState.RETIRED else None
        loaded = SigningKey(key.domain, key.selector, key.algorithm, record_of(private), private, keep_until)
        ordered.setdefault(place, []).append(loaded)
    # RSA first, as the algorithms are listed: some verifiers look at one signature alone, and not all know Ed25519.
    found = {
        domain: tuple(tuple(ordered[domain, one]) for one in KeyAlgorithm if (domain, one) in ordered)
        for domain, _ in ordered
    }
    return found, faults
