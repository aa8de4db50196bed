"""DANE: which TLSA records count, and whether a peer's certificates match them (PURE).

Input: records that DNSSEC proves, certificates in DER. Output: the usable records; a match or not.
Standards: RFC 6698 §2.1, RFC 7671 §5 and §9 (digest agility), RFC 7672 §3.1.
On failure: a record that is malformed or of a kind that does not count is left out.
"""

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.delivery.tls.certificate import UNREADABLE, read_certificate
from shared.dns.answer import TLSA

_DANE_TA, _DANE_EE = 2, 3
_WHOLE, _SHA256, _SHA512 = 0, 1, 2
_DIGESTS = {_SHA256: hashlib.sha256, _SHA512: hashlib.sha512}


def usable(records: Sequence[TLSA]) -> tuple[TLSA, ...]:
    """Return the records that a client goes by, of those published."""
    known = [record for record in records if _is_known(record)]
    # RFC 7671 §9: of several digests for the same usage and selector, only the strongest counts.
    strongest = {
        (record.usage, record.selector): max(
            other.matching for other in known if (other.usage, other.selector) == (record.usage, record.selector)
        )
        for record in known
    }
    return tuple(record for record in known if record.matching in (_WHOLE, strongest[record.usage, record.selector]))


def matches_leaf(records: Sequence[TLSA], leaf: bytes) -> bool:
    """Whether a DANE-EE record is the peer's own certificate.

    RFC 7672 §3.1.1: its names, its dates and who signed it count for nothing then.
    """
    return any(record.usage == _DANE_EE and _is(record, leaf) for record in records)


def anchors(records: Sequence[TLSA], chain: Sequence[bytes]) -> list[bytes]:
    """Return the certificates that DANE-TA records name as authorities. chain: what the peer showed, its own first."""
    found = [record for record in records if record.usage == _DANE_TA]
    # RFC 7671 §5.2.2: a record may hold the whole certificate, so that the peer need not show it.
    whole = [record.data for record in found if (record.selector, record.matching) == (0, _WHOLE)]
    return [*(other for other in chain[1:] if any(_is(record, other) for record in found)), *whole]


def told(record: TLSA) -> str:
    """Return a record as zone files have it."""
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"


def _is_known(record: TLSA) -> bool:
    # RFC 7672 §3.1.3: PKIX-TA(0) and PKIX-EE(1) are of no use between mail servers.
    if record.usage not in (_DANE_TA, _DANE_EE) or record.selector not in (0, 1):
        return False
    digest = _DIGESTS.get(record.matching)
    if digest is not None:
        return len(record.data) == digest().digest_size
    return record.matching == _WHOLE and _is_whole(record)


def _is_whole(record: TLSA) -> bool:
    if record.selector == 1:
        return bool(record.data)
    return read_certificate(record.data) is not None


def _is(record: TLSA, certificate: bytes) -> bool:
    selected = certificate if record.selector == 0 else public_key(certificate)
    digest = _DIGESTS.get(record.matching)
    return hmac.compare_digest(digest(selected).digest() if digest else selected, record.data)


@lru_cache(maxsize=256)
def public_key(certificate: bytes) -> bytes:
    """Return the subjectPublicKeyInfo of a certificate, empty for one that cannot be read."""
    read = read_certificate(certificate)
    if read is None:
        return b""
    try:
        key = read.public_key()
    except UNREADABLE:
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
