"""The certificates of all listeners: their dates, names, keys and chains (I/O: files; judging is PURE).

Standards: RFC 5280 §6.1 (chains), RFC 6125 §6.4 (names; one wildcard label).
"""

import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from services.console.doctor.beside import Pair
from services.console.doctor.finding import Finding, aside, good, warning, wrong

_WARNING_DAYS = 21
_NEW = "put the new files in their place: edge and console look for them by themselves"


def certificates(pairs: Iterable[Pair], now: datetime | None = None) -> list[Finding]:
    """Look at each certificate."""
    return [finding for pair in pairs for finding in _pair(pair, now or datetime.now(UTC))]


def _pair(pair: Pair, now: datetime) -> list[Finding]:
    topic = f"certificate of {pair.owner}"
    try:
        chain = x509.load_pem_x509_certificates(pair.certificate.read_bytes())
    except PermissionError:
        return [aside(topic, f"{pair.certificate} is not ours to read")]
    except (OSError, ValueError) as error:
        return [wrong(topic, f"{pair.certificate}: {error}", "write a PEM certificate there, or correct the settings")]
    found = [
        judge_dates(topic, pair, chain[0], now),
        *judge_chain(topic, pair, chain),
        *judge_names(topic, pair, chain[0]),
    ]
    return [*found, *_key(topic, pair, chain[0])]


def judge_dates(topic: str, pair: Pair, certificate: x509.Certificate, now: datetime) -> Finding:
    """Return what is to be said of a certificate's dates (PURE)."""
    until, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    renew = f"have it renewed, and {_NEW}"
    if until <= now:
        return wrong(topic, f"{pair.certificate} expired on {until:%Y-%m-%d}", renew)
    if begins > now:
        text = f"{pair.certificate} is valid from {begins:%Y-%m-%d %H:%M} UTC on"
        return wrong(topic, text, "wait until then, or set this host's clock")
    days = (until - now).days
    text = f"{pair.certificate} is valid until {until:%Y-%m-%d} ({days} days)"
    return warning(topic, text, renew) if days < _WARNING_DAYS else good(topic, text)


def judge_chain(topic: str, pair: Pair, chain: Sequence[x509.Certificate]) -> list[Finding]:
    """Return what is to be said of a file's chain (PURE but for the system's authorities)."""
    for lower, upper in pairwise(chain):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature):
            name = _name(lower.issuer)
            text = f"{pair.certificate} is in disorder: what follows {_name(lower.subject)} is not {name}"
            return [wrong(topic, text, "write the certificate first, then each issuer's behind it")]
    last = chain[-1]
    if last.issuer == last.subject and len(chain) == 1:
        if not pair.has_browsers:
            # Mail servers encrypt to it all the same (RFC 7435), and make run has no other.
            return []
        mend = "have one signed for this name, or let browsers trust this one"
        return [warning(topic, "it is signed by itself, so browsers warn of it", mend)]
    if (
        len(chain) == 1
        and pair.key is not None
        and frozenset(str(part.value) for part in last.issuer) not in _known_authorities()
    ):
        text = f"{pair.certificate} holds no certificate of its issuer, {_name(last.issuer)}"
        return [warning(topic, text, "append the issuer's certificate, unless all clients know that authority")]
    return []


def judge_names(topic: str, pair: Pair, certificate: x509.Certificate) -> list[Finding]:
    """Return what is to be said of a certificate's names (PURE)."""
    if not pair.host:
        return []
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [name.lower() for name in alternative.get_values_for_type(x509.DNSName)]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if any(_covers(name, pair.host) for name in names):
        return []
    text = f"it is for {', '.join(names[:5]) or 'no name'}, not for {pair.host}"
    return [warning(topic, text, f"have one made for {pair.host}: clients that verify it turn away")]


def _key(topic: str, pair: Pair, certificate: x509.Certificate) -> list[Finding]:
    if pair.key is None:
        return []
    try:
        mode = pair.key.stat().st_mode & 0o777
        private = load_pem_private_key(pair.key.read_bytes(), None)
    except PermissionError:
        return [aside(topic, f"its key {pair.key} is not ours to read")]
    except (OSError, ValueError, TypeError) as error:
        return [
            wrong(topic, f"{pair.key}: {error}", "write the certificate's key there, in PEM and without a passphrase")
        ]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        return [
            wrong(topic, f"{pair.key} is not the key of {pair.certificate}", "write the pair that belongs together")
        ]
    if mode & 0o007:
        return [wrong(topic, f"{pair.key}, mode {mode:04o}, can be read by everybody", f"chmod 600 {pair.key}")]
    return []


def _covers(name: str, host: str) -> bool:
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME) or list(name)
    return str(found[0].value)[:100] if found else "nobody"


@cache
def _known_authorities() -> frozenset[frozenset[str]]:
    """Return the names of the system's authorities, each by its parts: not all of their forms are read everywhere."""
    known = ssl.create_default_context().get_ca_certs()
    return frozenset(
        frozenset(str(part[1]) for relative in authority["subject"] for part in relative)
        for authority in known
        if "subject" in authority
    )
