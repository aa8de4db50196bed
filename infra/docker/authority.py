"""A certificate authority of the gateway's own, kept in one folder (I/O).

Owns: the authority's key, and the servers' certificates signed with it; made anew when names change, or 30 days before
they end.
Standards: RFC 5280; names in subjectAltName alone (RFC 6125 §6.4.4).
"""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_RENEW_BEFORE = timedelta(days=30)
_AUTHORITY_LASTS = timedelta(days=3650)
_SERVER_LASTS = timedelta(days=398)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """The authority whose files lie in `folder`; made there if there is none. now: aware, or None for the clock's."""

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self._folder = folder
        self._now = now or datetime.now(UTC)
        pair = self._load("ca")
        if pair is None:
            key = ec.generate_private_key(ec.SECP256R1())
            name = _name("Gatepost's own authority")
            builder = _builder(name, name, key, self._now, _AUTHORITY_LASTS)
            builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
            builder = builder.add_extension(_SIGNS_CERTIFICATES, True)
            pair = builder.sign(key, hashes.SHA256()), key
            self._save("ca", *pair)
        self._certificate, self._key = pair

    @property
    def certificate_pem(self) -> bytes:
        """The authority's certificate, for those who verify the servers'."""
        return _pem(self._certificate)

    def server_certificate(self, label: str, names: tuple[str, ...]) -> tuple[bytes, bytes]:
        """Return (certificate, key) in PEM for a server with these names; the kept one while it will do."""
        pair = self._load(label)
        if pair is None or not _will_do(pair[0], names, self._now):
            key = ec.generate_private_key(ec.SECP256R1())
            builder = _builder(_name(names[0]), self._certificate.subject, key, self._now, _SERVER_LASTS)
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(signer, False)
            pair = builder.sign(self._key, hashes.SHA256()), key
            self._save(label, *pair)
        return _pem(pair[0]) + self.certificate_pem, _key_pem(pair[1])

    def _load(self, label: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
        path = self._folder / f"{label}.pem"
        if not path.exists():
            return None
        both = path.read_bytes()
        key = serialization.load_pem_private_key(both, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{path}: not a key of ours")
        return x509.load_pem_x509_certificate(both), key

    def _save(self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        # Certificate and key in one file, replaced in one step, so that they always fit each other.
        draft = self._folder / f".{label}.pem"
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(_pem(certificate) + _key_pem(key))
        draft.rename(self._folder / f"{label}.pem")


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour back, for clocks that disagree.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lasts)
        # RFC 5280 §4.2.1.2: strict verifiers look the signer up by this.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _will_do(certificate: x509.Certificate, names: tuple[str, ...], now: datetime) -> bool:
    present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    wanted = x509.SubjectAlternativeName([_alternative(name) for name in names])
    return present == wanted and certificate.not_valid_after_utc - now > _RENEW_BEFORE


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
