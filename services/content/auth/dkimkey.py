"""Owns DKIM key records: parsing, their bounds, and verifying with them. PURE.

Input: one TXT record. Output: a Key, or a KeyFault that says why it is none. Both are remembered by record text, since
few senders make most of the mail. Standards: RFC 6376 §3.6.1, RFC 8301 §3.2, RFC 8463.
On failure: a KeyFault; nothing is raised.
"""

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from dkim.crypto import UnparsableKeyError, parse_public_key
from dkim.util import InvalidTagValueList, parse_tag_value

from services.content.auth.results import DkimReason

MIN_RSA_BITS = 1024
# A key of 16384 bits costs seconds in some libraries; nobody publishes more than 4096.
MAX_RSA_BITS = 8192
# Every real key has 65537; the cost of a verification grows with the exponent.
MAX_EXPONENT_BITS = 33
_MAX_RECORD_BYTES = 4096
_WHITE_SPACE = b" \t\r\n"
_PADDING = PKCS1v15()
_SHA256 = SHA256()


@dataclass(frozen=True, slots=True)
class Key:
    """A usable public key. strict: i= must be d= itself (t=s). testing: t=y."""

    public: RSAPublicKey | Ed25519PublicKey
    bits: int
    strict: bool = False
    testing: bool = False

    @property
    def algorithm(self) -> str:
        """The first part of the a= that the key can verify."""
        return "rsa" if isinstance(self.public, RSAPublicKey) else "ed25519"

    def verify(self, signature: bytes, data: bytes, digest: bytes) -> bool:
        """Tell whether the signature is right; RSA signs the data (hashed with SHA-256), Ed25519 its digest."""
        try:
            if isinstance(self.public, RSAPublicKey):
                self.public.verify(signature, data, _PADDING, _SHA256)
            else:
                # RFC 8463 §3: PureEdDSA over the SHA-256 digest.
                self.public.verify(signature, digest)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeyFault:
    """Why a record gives no usable key."""

    reason: DkimReason
    text: str


@lru_cache(maxsize=4096)
def parse_key(record: bytes) -> Key | KeyFault:
    """Return the key of a TXT record, or why there is none."""
    if len(record) > _MAX_RECORD_BYTES:
        return KeyFault(DkimReason.KEY_SYNTAX, "the key record is too long")
    try:
        tags: dict[bytes, bytes] = parse_tag_value(record)
    except InvalidTagValueList:
        return KeyFault(DkimReason.KEY_SYNTAX, "the key record is not a tag list")
    # RFC 6376 §3.6.1: v= is optional but must be first and exactly "DKIM1".
    if b"v" in tags and (tags[b"v"] != b"DKIM1" or next(iter(tags)) != b"v"):
        return KeyFault(DkimReason.KEY_SYNTAX, "the key record is not of version DKIM1")
    if b"p" not in tags:
        return KeyFault(DkimReason.KEY_SYNTAX, "the key record has no p= tag")
    # RFC 6376 §3.6.1: an empty p= means that the key is revoked.
    if not tags[b"p"]:
        return KeyFault(DkimReason.KEY_REVOKED, "the key is revoked (empty p=)")
    # RFC 6376 §3.6.1: h= names the acceptable hashes. RFC 8301 §3.1: rsa-sha1 is out, so sha256 must be among them.
    if b"h" in tags and b"sha256" not in _words(tags[b"h"]):
        return KeyFault(DkimReason.KEY_FORBIDS, "the key allows no SHA-256 (h=)")
    # RFC 6376 §3.6.1: s= names the service types for which the key may be used.
    if b"s" in tags and not _words(tags[b"s"]) & {b"*", b"email"}:
        return KeyFault(DkimReason.KEY_FORBIDS, "the key is not for mail (s=)")
    public = _public_key(tags.get(b"k", b"rsa"), tags[b"p"])
    if isinstance(public, KeyFault):
        return public
    flags = _words(tags.get(b"t", b""))
    bits = public.key_size if isinstance(public, RSAPublicKey) else 256
    return Key(public, bits, strict=b"s" in flags, testing=b"y" in flags)


def _words(value: bytes) -> set[bytes]:
    return {word.strip(_WHITE_SPACE) for word in value.split(b":")}


def _public_key(kind: bytes, value: bytes) -> RSAPublicKey | Ed25519PublicKey | KeyFault:
    try:
        octets = base64.b64decode(value.translate(None, _WHITE_SPACE), validate=True)
    except binascii.Error:
        return KeyFault(DkimReason.KEY_SYNTAX, "the key's p= is not base64")
    if kind == b"rsa":
        return _rsa_key(octets)
    if kind == b"ed25519":
        if len(octets) != 32:
            return KeyFault(DkimReason.KEY_SYNTAX, "the Ed25519 key has not 32 bytes")
        return Ed25519PublicKey.from_public_bytes(octets)
    # RFC 6376 §3.6.1: unrecognised key types are ignored.
    return KeyFault(DkimReason.KEY_SYNTAX, "the key type is unknown (k=)")


def _rsa_key(octets: bytes) -> RSAPublicKey | KeyFault:
    unreadable = KeyFault(DkimReason.KEY_SYNTAX, "the RSA key cannot be read")
    try:
        numbers = parse_public_key(octets)
        modulus, exponent = int(numbers["modulus"]), int(numbers["publicExponent"])
    except (UnparsableKeyError, AssertionError, LookupError, TypeError, ValueError):
        # dkimpy's ASN.1 reader leaks these on cut-off or odd input.
        return unreadable
    # RFC 8301 §3.2: keys under 1024 bits are not valid.
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        return KeyFault(DkimReason.KEY_SIZE, f"the RSA key has {modulus.bit_length()} bits")
    if exponent.bit_length() > MAX_EXPONENT_BITS:
        return KeyFault(DkimReason.KEY_SIZE, "the RSA key's exponent is too large")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        return unreadable
