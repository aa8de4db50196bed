"""DKIM keys as they travel on the stream `gatepost.keys`, and their records in DNS (PURE).

Owns: `DkimKey` and `KeyBook`, of which the stream holds whole copies (the highest version wins); the text of a key's
record; and whether what DNS holds at its name is that very key.
Standards: RFC 6376 §3.6, RFC 8301 §3.2, RFC 8463 §4.
On failure: ValueError naming what is wrong (pydantic's names the place); a record that cannot be read is another key.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from pydantic import TypeAdapter

# RFC 8301 §3.2: signers use RSA keys of 1024 bits at least, and should use 2048. Above 4096 some verifiers stop.
RSA_BITS = 2048
MIN_RSA_BITS = 1024
MAX_RSA_BITS = 4096
# How long a signature may be verified (x=), and so how long a retired key's record must stay.
SIGNATURE_LIFE_S = 7 * 86_400
# RFC 1035 §3.3: a character string has 255 octets at most.
_STRING_OCTETS = 255
_MAX_RECORD_OCTETS = 4096
_WHITE_SPACE = b" \t\r\n"


class KeyState(StrEnum):
    """Where a key is in its life: not used yet, signing, or kept for those signatures that are still on their way."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


class KeyAlgorithm(StrEnum):
    """The values of k= (RFC 6376 §3.6.1, RFC 8463 §4)."""

    RSA = "rsa"
    ED25519 = "ed25519"


class RecordState(StrEnum):
    """What DNS holds at a key's name: this key, nothing, a key that is another or unusable, or more than one record."""

    PUBLISHED = "published"
    ABSENT = "absent"
    OTHER = "other-key"
    SEVERAL = "several-records"


PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key pair. domain: d=, lower case, A-labels. private_key: PKCS #8 in PEM, without a passphrase.

    keep_until: Unix seconds, until when the record of a retired key must stay; None of all others.
    """

    domain: str
    selector: str
    algorithm: KeyAlgorithm
    private_key: str = field(repr=False)
    state: KeyState = KeyState.PENDING
    keep_until: float | None = None

    @property
    def name(self) -> str:
        """The name of its record in DNS."""
        return record_name(self.selector, self.domain)


@dataclass(frozen=True, slots=True)
class KeyBook:
    """All keys at one version."""

    version: int
    keys: tuple[DkimKey, ...] = ()


_BOOK = TypeAdapter(KeyBook)


def encode_keys(book: KeyBook) -> bytes:
    """Return the stream entry of all keys."""
    return _BOOK.dump_json(book, exclude_none=True)


def decode_keys(entry: bytes) -> KeyBook:
    """Return the keys of a stream entry. Raises ValueError."""
    return _BOOK.validate_json(entry)


def record_name(selector: str, domain: str) -> str:
    """Return where the record stands. Standard: RFC 6376 §3.6.2.1."""
    return f"{selector}._domainkey.{domain}"


def load_private_key(key: DkimKey) -> PrivateKey:
    """Return the key as it signs. Raises ValueError, which names the key and never shows it."""
    try:
        loaded = load_pem_private_key(key.private_key.encode(), None)
    except (ValueError, TypeError):
        raise ValueError(f"the private key of {key.name} is not PKCS #8 in PEM without a passphrase") from None
    if key.algorithm is KeyAlgorithm.RSA and isinstance(loaded, RSAPrivateKey):
        if not MIN_RSA_BITS <= loaded.key_size <= MAX_RSA_BITS:
            raise ValueError(f"the RSA key of {key.name} has {loaded.key_size} bits")
        return loaded
    if key.algorithm is KeyAlgorithm.ED25519 and isinstance(loaded, Ed25519PrivateKey):
        return loaded
    raise ValueError(f"the private key of {key.name} is not of the kind {key.algorithm}")


def record_of(private: PrivateKey) -> str:
    """Return the text of the TXT record that publishes the key."""
    if isinstance(private, RSAPrivateKey):
        # RFC 6376 §3.6.1: p= is an RSAPublicKey; what everybody publishes and reads is its SubjectPublicKeyInfo.
        octets = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"
    # RFC 8463 §4: the 32 octets of the public key alone.
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(private.public_key().public_bytes_raw()).decode()}"


def zone_line(name: str, record: str, ttl_s: int = 3600) -> str:
    """Return the record as a line of a zone file, to be copied."""
    pieces = [record[start : start + _STRING_OCTETS] for start in range(0, len(record), _STRING_OCTETS)]
    strings = " ".join(f'"{piece}"' for piece in pieces)
    return f"{name}. {ttl_s} IN TXT {f'( {strings} )' if len(pieces) > 1 else strings}"


def judge_records(texts: Sequence[bytes], record: str) -> RecordState:
    """Return whether the TXT records found at a key's name publish that very key. record: as `record_of` gives it."""
    if not texts:
        return RecordState.ABSENT
    # RFC 6376 §3.6.2.2: what a verifier takes of several records is undefined.
    if len(texts) > 1:
        return RecordState.SEVERAL
    found, wanted = _tags(texts[0]), _tags(record.encode())
    if found is None or wanted is None:
        return RecordState.OTHER
    same = found.get(b"k", b"rsa") == wanted[b"k"] and _octets(found.get(b"p", b"")) == _octets(wanted[b"p"])
    return RecordState.PUBLISHED if same and _is_usable(found) else RecordState.OTHER


def _is_usable(tags: dict[bytes, bytes]) -> bool:
    # RFC 6376 §3.6.1: v=, where it stands, is the first tag and "DKIM1".
    if b"v" in tags and (next(iter(tags)) != b"v" or tags[b"v"] != b"DKIM1"):
        return False
    # RFC 6376 §3.6.1: h= names the hashes that may be used, s= for what the key may be.
    hashes, services = _words(tags.get(b"h", b"sha256")), _words(tags.get(b"s", b"*"))
    return b"sha256" in hashes and bool(services & {b"*", b"email"})


def _words(value: bytes) -> set[bytes]:
    return {word.strip(_WHITE_SPACE) for word in value.split(b":")}


def _octets(value: bytes) -> bytes | None:
    try:
        return base64.b64decode(value.translate(None, _WHITE_SPACE), validate=True)
    except binascii.Error:
        return None


def _tags(record: bytes) -> dict[bytes, bytes] | None:
    """Return the tags of a record, None if it is no tag list (RFC 6376 §3.2: each tag once)."""
    if len(record) > _MAX_RECORD_OCTETS:
        return None
    tags: dict[bytes, bytes] = {}
    for part in record.strip(_WHITE_SPACE).removesuffix(b";").split(b";"):
        name, equals, value = part.partition(b"=")
        name = name.strip(_WHITE_SPACE)
        if not equals or not name or name in tags:
            return None
        tags[name] = value.strip(_WHITE_SPACE)
    return tags
