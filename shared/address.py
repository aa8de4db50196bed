"""SMTP paths and addresses, parsed strictly (PURE).

Output: `Address`, whose domain is in lower case and in A-labels, whatever the sender wrote.
Standards: RFC 5321 §4.1.2 and §4.1.3, RFC 6531 §3.3, RFC 5890 (IDNA).
On failure: AddressError, whose text says what is wrong; nothing is stripped or mended silently.
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import idna

# RFC 5321 §4.5.3.1: octets.
LOCAL_PART_LIMIT = 64
DOMAIN_LIMIT = 255
PATH_LIMIT = 256

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]"
_ATEXT_UTF8 = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
_DOT_STRING_UTF8 = re.compile(rf"{_ATEXT_UTF8}+(?:\.{_ATEXT_UTF8}+)*\Z")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"\Z')
_QUOTED_UTF8 = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u00a0-\U0010ffff]|\\[\x20-\x7e])*"\Z')
_SRS = re.compile(r'"?SRS[01][=+-]', re.IGNORECASE)
_NEEDS_BACKSLASH = re.compile(r'["\\]')
_QUOTED_PAIR = re.compile(r"\\(.)")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class AddressError(ValueError):
    """An address or path that the standard does not allow."""


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox. local_part: as received, quotes kept. domain: lower case, or a literal in brackets."""

    local_part: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"

    @property
    def is_literal(self) -> bool:
        """Whether the domain is an address literal such as `[192.0.2.1]`."""
        return self.domain.startswith("[")

    @property
    def is_ascii(self) -> bool:
        """Whether it can travel without SMTPUTF8."""
        return str(self).isascii()


def parse_domain(text: str) -> str:
    """Return a domain name in lower-case A-labels, or an address literal in its canonical form. Raises AddressError.

    text: A-labels or U-labels; `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    """
    if not text:
        raise AddressError("the domain is empty")
    if text.startswith("["):
        return _literal(text)
    if not text.isascii():
        text = _a_labels(text)
    domain = text.lower()
    if len(domain) > DOMAIN_LIMIT:
        raise AddressError(f"the domain has {len(domain)} octets, at most {DOMAIN_LIMIT} are allowed")
    if not all(_LABEL.match(label) for label in domain.split(".")):
        raise AddressError(f"{domain[:80]!r} is not a domain name")
    # A last label of digits only would be an address without its brackets (RFC 3696 §2).
    if domain.rpartition(".")[2].isdigit():
        raise AddressError(f"{domain[:80]!r} is not a domain name; an address is written in brackets")
    return domain


def parse_local_part(text: str, *, smtputf8: bool = True) -> str:
    """Return a local part as it stands, dot-string or quoted string. Raises AddressError."""
    if not text.isascii() and not smtputf8:
        raise AddressError("the local part is not ASCII, which needs SMTPUTF8")
    # RFC 5321 §4.5.3.1.1: 64 octets. §4.5.3.1 would have no limits where possible: senders that forwarders write anew
    # (SRS) hold a whole address, and only the path has an end for them.
    limit = PATH_LIMIT if _SRS.match(text) else LOCAL_PART_LIMIT
    if len(text.encode("utf-8", "surrogatepass")) > limit:
        raise AddressError(f"the local part is longer than {limit} octets")
    if _CONTROL.search(text):
        raise AddressError("the local part has a control character")
    if text.startswith('"'):
        matched = _QUOTED_UTF8.match(text) if smtputf8 else _QUOTED.match(text)
    else:
        matched = _DOT_STRING_UTF8.match(text) if smtputf8 else _DOT_STRING.match(text)
    # RFC 5321 §4.1.2 lets a quoted string be empty; deliberately refused, for no mailbox is called nothing.
    if not matched or text == '""':
        raise AddressError(f"{text[:80]!r} is not a local part (RFC 5321 §4.1.2)")
    return text


def parse_address(text: str, *, smtputf8: bool = True) -> Address:
    """Return the mailbox `local-part@domain`. Raises AddressError."""
    local_part, at, domain = text.rpartition("@")
    if not at:
        raise AddressError(f"{text[:80]!r} has no domain")
    if not domain.isascii() and not smtputf8:
        raise AddressError("the domain is not ASCII, which needs SMTPUTF8")
    return Address(parse_local_part(local_part, smtputf8=smtputf8), parse_domain(domain))


def parse_reverse_path(text: str, *, smtputf8: bool = False) -> Address | None:
    """Return the mailbox of MAIL FROM, or None for the null reverse-path `<>`. Raises AddressError."""
    inner = _path(text)
    return parse_address(inner, smtputf8=smtputf8) if inner else None


def parse_forward_path(text: str, *, smtputf8: bool = False) -> Address:
    """Return the mailbox of RCPT TO. Raises AddressError.

    RFC 5321 §4.5.1: `<postmaster>`, in any case, stands without a domain; it comes back with an empty one.
    """
    inner = _path(text)
    if not inner:
        raise AddressError("the forward-path is empty")
    if inner.lower() == "postmaster":
        return Address(inner.lower(), "")
    return parse_address(inner, smtputf8=smtputf8)


def canonical_local_part(local_part: str) -> str:
    """Return the one form for comparing: without quotes where none are needed, without needless backslashes.

    RFC 5321 §4.1.2: `"demo"` and `demo` are one mailbox. What is handed on keeps the form in which it came.
    """
    if not local_part.startswith('"'):
        return local_part
    content = _QUOTED_PAIR.sub(r"\1", local_part[1:-1])
    if _DOT_STRING_UTF8.match(content):
        return content
    return '"' + _NEEDS_BACKSLASH.sub(r"\\\g<0>", content) + '"'


def is_routed_local_part(local_part: str) -> bool:
    """Whether a local part could make another server relay: `%`, `!` or `@` in it, or a sign that stands for them."""
    if not local_part.isascii():
        # RFC 6532 §3.1 has programs normalize; a fullwidth sign is then the plain one.
        local_part = unicodedata.normalize("NFKC", local_part)
    return any(sign in local_part for sign in "%!@")


def _path(text: str) -> str:
    if not text.startswith("<") or not text.endswith(">"):
        raise AddressError("a path stands between < and >")
    inner = text[1:-1]
    # RFC 5321 §4.5.3.1.3: 256 octets, punctuation included.
    if len(text.encode("utf-8", "surrogatepass")) > PATH_LIMIT:
        raise AddressError(f"the path is longer than {PATH_LIMIT} octets")
    if _CONTROL.search(inner):
        raise AddressError("the path has a control character")
    if inner.startswith("@"):
        # RFC 5321 §3.3 lets a server refuse source routes; one that strips them can be led to relay.
        raise AddressError("source routes are not accepted")
    return inner


def _literal(text: str) -> str:
    inner = text.removeprefix("[").removesuffix("]")
    if not text.endswith("]"):
        raise AddressError(f"{text[:80]!r} is not an address literal")
    try:
        # RFC 5321 §4.1.3: IPv6 carries its tag, IPv4 none. A zone (`%eth0`), which Python reads, is not in the grammar.
        if inner[:5].lower() == "ipv6:" and "%" not in inner:
            return f"[IPv6:{_ipv6_text(inner[5:])}]"
        address = ip_address(inner)
    except ValueError:
        raise AddressError(f"{text[:80]!r} is not an address literal") from None
    if address.version == 6:
        raise AddressError(f"{text[:80]!r}: an IPv6 literal begins with IPv6:")
    return f"[{address}]"


def _ipv6_text(text: str) -> str:
    address = IPv6Address(text)
    # RFC 5952 §5: a mapped IPv4 address shows its dotted form; Python does so from 3.13 on only.
    return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else address.compressed


def _a_labels(text: str) -> str:
    if _CONTROL.search(text):
        raise AddressError("the domain has a control character")
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise AddressError(f"{text[:80]!r} is not a domain name: {error}") from None
