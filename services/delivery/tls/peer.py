"""Whether the peer of a handshake is who was demanded (I/O: the files of authorities).

Input: the certificates that it showed, and the demand. Output: nothing, or what is wrong with it.
Standards: RFC 7672 §3 (DANE), RFC 9525 (names), RFC 8461 §4.2 (MTA-STS), RFC 8460 §4.3 (what a failure is called).
On failure: a certificate that cannot be read is one that does not hold.
"""

import datetime as dt
import hashlib
import ssl
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import Store

from services.delivery.secrets import Secrets
from services.delivery.tls.certificate import UNREADABLE, read_certificate
from services.delivery.tls.chain import chain_fault
from services.delivery.tls.dane import anchors, matches_leaf, public_key
from services.delivery.tls.demand import TlsDemand
from services.delivery.tls.names import bears, names_of, told
from shared.policy.destination import OutboundTls
from shared.tls_seen import TlsFailure, TlsResult

Now = Callable[[], dt.datetime]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def judge_peer(shown: Sequence[bytes], demand: TlsDemand, now: Now = _now) -> TlsFailure | None:
    """Return what of the demand a peer does not meet. That its authority is known, the handshake has proved.

    shown: its certificates in DER, its own first.
    """
    if not demand.is_authenticated:
        return None
    if not shown:
        return TlsFailure(TlsResult.FAILED, "the host showed no certificate")
    if demand.level is OutboundTls.FINGERPRINT and not _has_fingerprint(shown[0], demand.fingerprints):
        digest = hashlib.sha256(shown[0]).hexdigest()
        return TlsFailure(TlsResult.NOT_TRUSTED, f"the certificate has another fingerprint: {digest}")
    if demand.tlsa and (failure := _judge_dane(shown, demand, now)) is not None:
        return failure
    return _judge_names(shown[0], demand.names) if demand.level is OutboundTls.VERIFIED else None


def judge_on_trial(
    shown: Sequence[bytes], names: Sequence[str], authority: str | None, secrets: Secrets, now: Now = _now
) -> TlsFailure | None:
    """Return what MTA-STS would refuse a peer for, if its policy were in force. Raises SecretMissing."""
    if not shown:
        return TlsFailure(TlsResult.FAILED, "the host showed no certificate")
    path = secrets.path(authority) if authority else _system_authorities()
    chain = _read(shown)
    if not chain:
        return TlsFailure(TlsResult.FAILED, "the certificate cannot be read")
    if (failure := _judge_dates(chain[0], now())) is not None:
        return failure
    if (failure := _judge_names(shown[0], names)) is not None:
        return failure
    found = path.stat()
    fault = chain_fault(chain, _store(path, found.st_mtime_ns, found.st_size), names, now())
    return None if fault is None else TlsFailure(TlsResult.NOT_TRUSTED, f"the certificate is not trusted: {fault}")


def _has_fingerprint(leaf: bytes, fingerprints: Sequence[str]) -> bool:
    # Of the certificate, or of its key, which outlives a renewal.
    digests = {hashlib.sha256(leaf).hexdigest(), hashlib.sha256(public_key(leaf)).hexdigest()}
    return not digests.isdisjoint(fingerprints)


def _judge_dane(shown: Sequence[bytes], demand: TlsDemand, now: Now) -> TlsFailure | None:
    if matches_leaf(demand.tlsa, shown[0]):
        return None
    trusted = _read(anchors(demand.tlsa, shown))
    if not trusted:
        return TlsFailure(TlsResult.FAILED, "no TLSA record matches the certificate or its chain")
    chain = _read(shown)
    if not chain:
        return TlsFailure(TlsResult.FAILED, "the certificate cannot be read")
    if (failure := _judge_dates(chain[0], now())) is not None:
        return failure
    # RFC 7672 §3.1.2: with DANE-TA, the certificate must bear the host's name, or the domain's.
    if (failure := _judge_names(shown[0], demand.tlsa_names)) is not None:
        return failure
    fault = chain_fault(chain, Store(trusted), demand.tlsa_names, now())
    if fault is None:
        return None
    return TlsFailure(TlsResult.FAILED, f"the certificate is not by the authority of the TLSA record: {fault}")


def _judge_dates(leaf: x509.Certificate, now: dt.datetime) -> TlsFailure | None:
    if leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        return None
    dates = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
    return TlsFailure(TlsResult.EXPIRED, f"the certificate is not valid now, but from {dates}")


def _judge_names(leaf: bytes, wanted: Sequence[str]) -> TlsFailure | None:
    certificate = read_certificate(leaf)
    try:
        found = names_of(certificate) if certificate is not None else ()
    except UNREADABLE as error:
        return TlsFailure(TlsResult.FAILED, f"the certificate cannot be read: {error}")
    if bears(found, wanted):
        return None
    return TlsFailure(
        TlsResult.HOST_MISMATCH, f"the certificate is for {told(found)}, not for {' or '.join(wanted) or 'this host'}"
    )


def _read(certificates: Sequence[bytes]) -> list[x509.Certificate]:
    """Return the certificates, up to the first that cannot be read."""
    read = map(read_certificate, certificates)
    return [certificate for certificate in takewhile(lambda one: one is not None, read) if certificate is not None]


@lru_cache(maxsize=16)
def _store(path: Path, _mtime_ns: int, _size: int) -> Store:
    return Store(x509.load_pem_x509_certificates(path.read_bytes()))


def _system_authorities() -> Path:
    return Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
