"""What a certificate says of itself, for an administrator (PURE).

Input: DER octets, as a host showed them. Output: `CertificateSeen`, or None for what is no certificate.
Standards: RFC 5280 §4.1.2, RFC 9525 §6.3 (only the names in subjectAltName count).
"""

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from shared.wire_route_check import NAMES_LIMIT, TEXT_LIMIT, CertificateSeen


def read_certificate(der: bytes) -> CertificateSeen | None:
    """Return what a certificate says."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return CertificateSeen(
            subject=certificate.subject.rfc4514_string()[:TEXT_LIMIT],
            issuer=certificate.issuer.rfc4514_string()[:TEXT_LIMIT],
            names=_names(certificate),
            not_before=certificate.not_valid_before_utc.timestamp(),
            not_after=certificate.not_valid_after_utc.timestamp(),
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            self_signed=certificate.subject == certificate.issuer,
        )
    except ValueError:  # not one, or one that breaks the standard somewhere
        return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = extension.value.get_values_for_type(x509.DNSName)
    addresses = map(str, extension.value.get_values_for_type(x509.IPAddress))
    return tuple(name[:TEXT_LIMIT] for name in (*names, *addresses))[:NAMES_LIMIT]
