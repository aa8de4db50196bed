"""Whether a certificate bears a name (PURE).

Standards: RFC 9525 §6 (DNS names in subjectAltName, wildcards), RFC 5280 §4.2.1.6.
Decided here: the common name of the subject counts for nothing (RFC 9525 §2), whatever older servers hope for.
"""

from collections.abc import Iterable

from cryptography import x509

from shared.dns.names import is_address

# How many names are written into a reason; a certificate may have hundreds.
_SHOWN = 5
# RFC 1035 §2.3.4 has 255 at most; what stands in a certificate may be longer, and hold anything.
_SHOWN_LENGTH = 255


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names and addresses of a certificate's subjectAltName. Raises `UNREADABLE`."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns = (name.lower().removesuffix(".") for name in names.get_values_for_type(x509.DNSName))
    return (*dns, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def bears(found: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether one of a certificate's names is, or covers, one of those wanted."""
    return any(_covers(name, other) for other in map(_plain, wanted) for name in found)


def told(found: tuple[str, ...]) -> str:
    """Return a certificate's names for people."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (", ".join(_printable(name[:_SHOWN_LENGTH]) for name in found[:_SHOWN]) or "no name") + more


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _covers(name: str, wanted: str) -> bool:
    if name == wanted:
        return True
    # RFC 9525 §6.3: a wildcard is the whole leftmost label, and stands for exactly one.
    if not name.startswith("*.") or is_address(wanted):
        return False
    label, _, rest = wanted.partition(".")
    return bool(label) and rest == name[2:] and "." in rest
