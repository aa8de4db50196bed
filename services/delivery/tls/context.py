"""The TLS of outgoing connections, as the operating system's library does it (I/O: certificate files).

Input: a demand, and the secrets that it names. Output: contexts, made once for each pair of files and their state.
Standards: RFC 7435 (opportunistic security), RFC 8996 (no TLS below 1.2), RFC 3207.
Decided here: TLS is used wherever it is offered, whatever the certificate says, since the alternative would be plain
text. A failed STARTTLS never falls back to plain text, neither in the same attempt nor later: mail waits, and another
host of the domain is tried; otherwise, whoever breaks a handshake would get the mail in the clear. Authorities are
believed in the handshake; everything else about a peer is judged after it (peer.py), before anything is said.
On failure: SecretMissing; UnusableSecret for a file that holds no certificates, or no key for them.
"""

import ssl
from functools import lru_cache
from pathlib import Path

from services.delivery.secrets import Secrets
from services.delivery.tls.demand import TlsDemand
from shared.errors import TemporaryError
from shared.policy.destination import OutboundTls

# A file's path, time and size.
_State = tuple[Path, int, int]


class UnusableSecret(TemporaryError):
    """A file that the policy names as certificates does not hold them."""


def client_context(demand: TlsDemand, secrets: Secrets) -> ssl.SSLContext:
    """Return the context of a session. Raises SecretMissing, UnusableSecret."""
    ours = _state(secrets, demand.client_certificate)
    if demand.level is not OutboundTls.VERIFIED:
        return _context(None, ours, verified=False)
    return _context(_state(secrets, demand.authority), ours, verified=True)


def shown_chain(session: ssl.SSLObject) -> list[bytes]:
    """Return the certificates that a peer showed, in DER, its own first."""
    # Python 3.13 makes these public, as ssl.SSLObject.get_unverified_chain.
    chain = session._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # noqa: SLF001
    return [certificate.public_bytes(_DER) for certificate in chain or ()]


# _ssl.ENCODING_DER
_DER = 2


def _state(secrets: Secrets, name: str | None) -> _State | None:
    if name is None:
        return None
    path = secrets.path(name)
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=256)
def _context(authority: _State | None, ours: _State | None, *, verified: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Several names may do, and records instead of authorities: peer.py looks at the names.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    if verified:
        _trust(context, authority)
    if ours is not None:
        try:
            context.load_cert_chain(ours[0], password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise UnusableSecret(f"client certificate {ours[0]}: no certificate with its key ({error})") from None
    return context


def _trust(context: ssl.SSLContext, authority: _State | None) -> None:
    if authority is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(authority[0])
    except (OSError, ssl.SSLError) as error:
        raise UnusableSecret(f"tls_authority {authority[0]}: no certificates ({error})") from None
    # An authority of one's own need not have signed itself.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


def _no_password() -> bytes:
    # Otherwise the library would ask on the terminal.
    return b""
