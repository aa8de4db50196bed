"""Reading certificates that strangers show (PURE).

On failure: the library has many exceptions for what is none; `UNREADABLE` are all of them.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def read_certificate(der: bytes) -> x509.Certificate | None:
    """Return a certificate, None for what is none."""
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE:
        return None
