"""How the edge speaks TLS: the contexts of its listeners, and what it reads of a client's certificate (I/O: files).

Standards: RFC 8996 (TLS 1.2 and newer), RFC 9325 (ciphers, compression, renegotiation), RFC 6066 §3 (server names).
On failure: SettingsError naming the file and what is wrong with it.
"""

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from services.edge.tls.binding import ServerContext, end_point
from services.edge.tls.names import Names
from shared.errors import SettingsError
from shared.policy.client import Certificate

# RFC 9325 §4.2: in TLS 1.2 forward secrecy and authenticated encryption alone; all suites of TLS 1.3 have both.
# Ours is the order; nearly all hosts that send mail have AES in hardware, and the shorter key costs the least.
_CIPHERS = "ECDHE+AESGCM+AES128:ECDHE+CHACHA20:ECDHE+AESGCM+AES256:!aNULL"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key: PEM files."""

    certificate_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class Facts:
    """What is read of a certificate of ours."""

    names: tuple[str, ...]
    expires: datetime
    end_point: bytes | None


def read_facts(pair: Pair) -> Facts:
    """Return what a certificate file says. Raises SettingsError."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate_file.read_bytes())
        return Facts(_dns_names(certificate), certificate.not_valid_after_utc, end_point(certificate))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{pair.certificate_file}: {_words(error)}") from None


def build_context(pairs: Sequence[Pair], facts: Sequence[Facts], client_ca_file: Path | None) -> ServerContext:
    """Return the context of a listener, which chooses among the pairs by server name; the first is the default.

    client_ca_file: clients are asked for a certificate, which must verify against it. Raises SettingsError.
    """
    contexts = [_one_context(pair, fact, client_ca_file) for pair, fact in zip(pairs, facts, strict=True)]
    names = Names([fact.names for fact in facts])

    def choose(tls: ssl.SSLObject, wanted: str | None, _context: ssl.SSLContext) -> None:
        # RFC 6066 §3: an unknown name is no reason to end; the client decides whether it takes the default's.
        if number := names.choose(wanted):
            tls.context = contexts[number]

    if len(contexts) > 1:
        contexts[0].sni_callback = choose
    return contexts[0]


def _one_context(pair: Pair, facts: Facts, client_ca_file: Path | None) -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    # RFC 8996: nothing older.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # RFC 9325 §3.3, §3.5: no compression, no renegotiation.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # RFC 9325 §3.4: the key of tickets would live as long as the process, and with it the secrecy of all sessions.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.end_point = facts.end_point
    try:
        context.load_cert_chain(pair.certificate_file, pair.key_file, _no_passphrase)
    except ssl.SSLError as error:
        raise SettingsError(f"{pair.certificate_file}, {pair.key_file}: {_words(error)}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{pair.key_file}: {_words(error)}") from None
    if client_ca_file is not None:
        _ask_for_certificates(context, client_ca_file)
    return context


def _ask_for_certificates(context: ssl.SSLContext, client_ca_file: Path) -> None:
    # Deliberately optional where the policy requires one, too: MAIL is then refused in words instead of an alert.
    context.verify_mode = ssl.CERT_OPTIONAL
    # A certificate in the file is trusted as it is, so that clients may sign their own.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(client_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{client_ca_file}: {_words(error)}") from None


def certificate_of(tls: ssl.SSLObject) -> Certificate | None:
    """Return the client's certificate, which the handshake has verified, if it gave one."""
    der = tls.getpeercert(binary_form=True)
    if not der:
        return None
    fingerprint = hashlib.sha256(der).hexdigest()
    try:
        return Certificate(fingerprint, x509.load_der_x509_certificate(der).subject.rfc4514_string())
    except ValueError:
        # OpenSSL reads certificates that `cryptography` does not; what counts is the fingerprint.
        return Certificate(fingerprint, "")


def _dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        # RFC 6125 §6.4.4: the common name, only where there is no other.
        return tuple(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted; write it without a passphrase, readable by this user alone")


def _words(error: Exception) -> str:
    match error:
        case ssl.SSLError(reason=str() as reason):
            return reason.lower().replace("_", " ")
        case OSError(strerror=str() as words):
            return words
        case _:
            return str(error)
