"""The certificate of pages and API (I/O: files).

Owns: making a self-signed pair where there is none, and taking a replaced one without a restart.
Standards: RFC 8996 (TLS 1.2 and newer), RFC 5280.
On failure: SettingsError naming the file; a replaced pair that cannot be used leaves the old one in use.
"""

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.console.settings import WebSettings
from shared.errors import SettingsError

_log = structlog.get_logger()
_LASTS = dt.timedelta(days=825)


class WebCertificate:
    """The pair of one process and the TLS context that holds it."""

    def __init__(self, settings: WebSettings, hostname: str) -> None:
        self._files = (settings.certificate_file, settings.key_file)
        if not any(file.exists() for file in self._files):
            _make_pair(*self._files, hostname)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._stamps()
        self._load(self.context)

    def look(self) -> bool:
        """Take the pair anew if its files have changed; new connections get it. Returns whether they get another."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            # Both files are replaced one after the other: a pair that does not match is tried on another context first.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except SettingsError as error:
            _log.error("certificate-refused", cause=str(error))
            return False
        _log.info("certificate-taken", file=str(self._files[0]))
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._files
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"[web] {certificate}, {key}: {error}") from None

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)


def _make_pair(certificate_file: Path, key_file: Path, hostname: str) -> None:
    """Make a self-signed certificate for a host's name and this host's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LASTS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        certificate_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content, mode in (
            (key_file, pem, 0o600),
            (certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644),
        ):
            number = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            with os.fdopen(number, "wb") as opened:
                opened.write(content)
    except OSError as error:
        raise SettingsError(f"[web] a certificate cannot be made: {error}") from None
    _log.info("certificate-made", file=str(certificate_file), name=hostname)
