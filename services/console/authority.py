"""A certificate authority of the gateway's own, kept in one folder (I/O).

Owns: the authority's key, and the certificates of servers and hosts signed with it; made anew when names change, or 30
days before they end. A host's certificate serves and asks: RabbitMQ wants one from who connects.
Standards: RFC 5280; names in subjectAltName alone (RFC 6125 §6.4.4).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

RENEW_BEFORE = timedelta(days=30)
_OWN = "ca"
_SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
_HOST = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
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


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that lies in the authority's folder. ends: aware."""

    label: str
    names: tuple[str, ...]
    ends: datetime


class Authority:
    """The authority whose files lie in `folder`; made there if there is none. now: aware, or None for the clock's."""

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self._folder = folder
        self._now = now or datetime.now(UTC)
        pair = self._load(_OWN)
        if pair is None:
            key = ec.generate_private_key(ec.SECP256R1())
            name = _name("Gatepost's own authority")
            builder = _builder(name, name, key, self._now, _AUTHORITY_LASTS)
            builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
            builder = builder.add_extension(_SIGNS_CERTIFICATES, True)
            pair = builder.sign(key, hashes.SHA256()), key
            self._save(_OWN, *pair)
        self._certificate, self._key = pair

    @property
    def certificate_pem(self) -> bytes:
        """The authority's certificate, for those who verify the servers'."""
        return _pem(self._certificate)

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder holds an authority."""
        return (folder / f"{_OWN}.pem").exists()

    def server_certificate(self, label: str, names: tuple[str, ...]) -> tuple[bytes, bytes]:
        """Return (certificate, key) in PEM for a server with these names; the kept one while it will do."""
        return self._certificate_for(label, names, _SERVER, anew=False)

    def host_certificate(self, label: str, names: tuple[str, ...], *, anew: bool = False) -> tuple[bytes, bytes]:
        """Return (certificate, key) in PEM for a host that serves and asks; the kept one while it will do, or anew."""
        return self._certificate_for(label, names, _HOST, anew=anew)

    def issued(self) -> tuple[Issued, ...]:
        """Return what was signed here, by label, the authority's own certificate first."""
        paths = [path for path in sorted(self._folder.glob("[!.]*.pem")) if path.stem != _OWN]
        return (_issued(_OWN, self._certificate), *(self._issued_in(path) for path in paths))

    def _issued_in(self, path: Path) -> Issued:
        return _issued(path.stem, x509.load_pem_x509_certificate(path.read_bytes()))

    def _certificate_for(
        self, label: str, names: tuple[str, ...], usage: x509.ExtendedKeyUsage, *, anew: bool
    ) -> tuple[bytes, bytes]:
        if label == _OWN:
            raise ValueError(f"{label}: the authority's own name")
        pair = self._load(label)
        if pair is None or anew or not _will_do(pair[0], names, usage, self._now):
            key = ec.generate_private_key(ec.SECP256R1())
            builder = _builder(_name(names[0]), self._certificate.subject, key, self._now, _SERVER_LASTS)
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), False)
            builder = builder.add_extension(usage, False)
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


def _will_do(
    certificate: x509.Certificate, names: tuple[str, ...], usage: x509.ExtendedKeyUsage, now: datetime
) -> bool:
    wanted = x509.SubjectAlternativeName([_alternative(name) for name in names])
    return (
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == wanted
        and certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == usage
        and certificate.not_valid_after_utc - now > RENEW_BEFORE
    )


def _issued(label: str, certificate: x509.Certificate) -> Issued:
    names: tuple[str, ...] = ()
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(str(name.value) for name in alternative)
    except x509.ExtensionNotFound:
        pass  # the authority's own bears none
    return Issued(label, names, certificate.not_valid_after_utc)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
