"""What a failed handshake is called in reports on TLS (PURE).

Standard: RFC 8460 §4.3.1 and §4.3.2.
"""

from shared.tls_seen import TlsFailure, TlsResult

# OpenSSL's X509_V_ERR_*: not yet valid, and expired.
_TIME = frozenset({9, 10})
# The same: an issuer that is missing, unknown, the certificate itself, no authority, or not to be trusted.
_ISSUER = frozenset({2, 18, 19, 20, 21, 24, 26, 27, 28, 79})


def handshake_failure(error: BaseException) -> TlsFailure:
    """Return what an error of the TLS library means. error: also a timeout or a lost connection."""
    code = getattr(error, "verify_code", None)
    if code is None:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        return TlsFailure(TlsResult.FAILED, f"the handshake failed: {reason}")
    message = getattr(error, "verify_message", "") or "not verified"
    if code in _TIME:
        return TlsFailure(TlsResult.EXPIRED, f"the certificate is not valid now: {message}")
    if code in _ISSUER:
        return TlsFailure(TlsResult.NOT_TRUSTED, f"the certificate is by no authority that is trusted: {message}")
    return TlsFailure(TlsResult.FAILED, f"the certificate does not hold: {message}")
