"""Certificates for the tests: an authority that signs for servers and clients, and some that sign for themselves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def signed(common_name: str, *names: str, by: Signed | None = None, days: int = 60, authority: bool = False) -> Signed:
    """Return a new certificate and its key. names: of a server. by: who signs, else itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(authority, None), True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    return builder.sign(by[1] if by else key, hashes.SHA256()), key


def pem(pair: Signed, passphrase: bytes = b"") -> bytes:
    """Return the certificate and its key as one file's content."""
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    key = pair[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    return key + pair[0].public_bytes(serialization.Encoding.PEM)


def der(pair: Signed) -> bytes:
    return pair[0].public_bytes(serialization.Encoding.DER)


def written(path: Path, *pairs: Signed) -> Path:
    """Write certificates and keys, replacing the file in one step as certificate tools do."""
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(b"".join(pem(pair) for pair in pairs))
    draft.rename(path)
    return path
