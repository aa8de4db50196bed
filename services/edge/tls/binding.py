"""Channel bindings: what ties a login to the TLS connection that it comes over (PURE but for the TLS object it asks).

Output: values by the names that SCRAM-PLUS knows them by; empty where the channel cannot be bound.
Standards: RFC 5929 (tls-unique, tls-server-end-point), RFC 5802 §6.
"""

import ssl

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

_END_POINT = "tls-server-end-point"
_UNIQUE = "tls-unique"


class ServerContext(ssl.SSLContext):
    """A server's context that knows the certificate it sends. end_point: its channel binding, or None."""

    end_point: bytes | None = None


def channel_bindings(tls: ssl.SSLObject) -> dict[str, bytes]:
    """Return the bindings that can be had on a connection whose handshake is over."""
    # Deliberately: a resumed session never showed our certificate, and without the extended master secret
    # (RFC 7627 §1) its tls-unique may be the same on two connections.
    if tls.session_reused:
        return {}
    found = {}
    # The context is the one that the server name chose, so this is the certificate that was sent.
    if isinstance(tls.context, ServerContext) and tls.context.end_point is not None:
        found[_END_POINT] = tls.context.end_point
    # RFC 9266 §1: tls-unique is not defined for TLS 1.3.
    if tls.version() == "TLSv1.2" and (unique := tls.get_channel_binding(_UNIQUE)):
        found[_UNIQUE] = unique
    return found


def end_point(certificate: x509.Certificate) -> bytes | None:
    """Return the value of `tls-server-end-point` for a certificate; None where the standard defines none."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:
        # RFC 5929 §4.1: a signature without one hash of its own (Ed25519, Ed448) leaves the binding undefined.
        return None
    # RFC 5929 §4.1: the hash of the certificate's own signature, but SHA-256 instead of MD5 and SHA-1.
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
