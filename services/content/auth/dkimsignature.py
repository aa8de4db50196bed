"""Owns the fields that sign a message (DKIM-Signature, and ARC's): tags, their bounds, and the bytes signed. PURE.

Input: one field of a message. Output: a Signature, or Unusable with the word, the reason and a sentence.
Standards: RFC 6376 §3.5 and §3.7, RFC 8301 §3.1, RFC 8616.
On failure: Unusable is raised and caught within this package only.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dkim.util import InvalidTagValueList, parse_tag_value

from services.content.auth.results import DkimReason, DkimWord
from shared.auth.canon import relaxed_field, simple_field
from shared.auth.domain import host_name_of
from shared.auth.message import Field
from shared.auth.spf_result import plain

MAX_FIELD_BYTES = 16_384
MAX_SIGNED_NAMES = 512
# Clocks differ, and a signature may be made a moment before it is read.
CLOCK_SKEW_S = 3_600
_WHITE_SPACE = b" \t\r\n"
_REQUIRED = (b"a", b"b", b"bh", b"d", b"h", b"s")
_DIGITS = re.compile(rb"[0-9]{1,12}")
# RFC 6376 §3.5: l= may have 76 digits.
_LENGTH = re.compile(rb"[0-9]{1,76}")
_ALGORITHMS = {b"rsa-sha256": "rsa-sha256", b"ed25519-sha256": "ed25519-sha256"}
_CANONICALIZATIONS = {b"simple": False, b"relaxed": True}


class Unusable(Exception):
    """A signature that ends here: its word, its reason, and a sentence for people."""

    def __init__(self, word: DkimWord, reason: DkimReason, evidence: str) -> None:
        super().__init__(evidence)
        self.word = word
        self.reason = reason
        self.evidence = evidence


def _syntax(evidence: str) -> Unusable:
    # RFC 8601 §2.7.1: neutral is for signatures with syntax errors.
    return Unusable(DkimWord.NEUTRAL, DkimReason.SYNTAX, evidence)


@dataclass(frozen=True, slots=True)
class Signature:
    """The tags of one DKIM-Signature, checked for their form, with the field itself."""

    field: Field
    domain: str
    selector: str
    algorithm: str
    identity: str
    identity_domain: str
    relaxed_header: bool
    relaxed_body: bool
    signed_names: tuple[bytes, ...]
    body_hash: bytes
    signature: bytes
    mark: str
    body_length: int | None
    signed_at_s: int | None
    expires_at_s: int | None


def tags_of(field: Field) -> dict[bytes, bytes]:
    """Return the tags of the field. Raises Unusable."""
    if len(field.value) > MAX_FIELD_BYTES:
        raise _syntax(f"the {_shown(field)} field is too long")
    try:
        tags: dict[bytes, bytes] = parse_tag_value(field.value)
    except InvalidTagValueList:
        raise _syntax(f"the {_shown(field)} field is not a tag list") from None
    return tags


def _shown(field: Field) -> str:
    return plain(field.name.decode("ascii", "replace"), 40)


def parse_signature(field: Field, tags: dict[bytes, bytes]) -> Signature:
    """Return the checked DKIM-Signature. Raises Unusable."""
    if not tags.get(b"v"):
        raise _syntax("the signature has no v= tag")
    # RFC 6376 §3.5: v= must be "1".
    if tags[b"v"] != b"1":
        raise _syntax("the signature's v= is not 1")
    return parse_tags(field, tags, identity=tags.get(b"i"))


def parse_tags(field: Field, tags: dict[bytes, bytes], *, identity: bytes | None) -> Signature:
    """Return the checked signature, of DKIM or of ARC. identity: i= where it names one. Raises Unusable."""
    require(tags, _REQUIRED)
    # RFC 6376 §3.5: "dns/txt" is the only query method; others are ignored.
    if b"dns/txt" not in _names(tags.get(b"q", b"dns/txt")):
        raise _syntax("the signature's q= does not name dns/txt")
    domain, selector = signer_of(tags)
    local_part, _, identity_host = (identity or b"@" + tags[b"d"]).rpartition(b"@")
    identity_domain = _identity_domain(identity_host, domain)
    relaxed_header, relaxed_body = _canonicalization(tags.get(b"c", b"simple/simple"))
    return Signature(
        field=field,
        domain=domain,
        selector=selector,
        algorithm=algorithm_of(tags),
        identity=f"{plain(local_part.decode('ascii', 'replace'), 64)}@{identity_domain}",
        identity_domain=identity_domain,
        relaxed_header=relaxed_header,
        relaxed_body=relaxed_body,
        signed_names=_signed_names(tags[b"h"]),
        body_hash=octets_of(tags, b"bh"),
        signature=octets_of(tags, b"b"),
        mark=tags[b"b"].translate(None, _WHITE_SPACE)[:8].decode("ascii"),
        body_length=_number(tags, b"l", _LENGTH),
        signed_at_s=_number(tags, b"t", _DIGITS),
        expires_at_s=_number(tags, b"x", _DIGITS),
    )


def require(tags: dict[bytes, bytes], names: Sequence[bytes]) -> None:
    """See that these tags are there and not empty. Raises Unusable."""
    for name in names:
        if not tags.get(name):
            raise _syntax(f"the signature has no {name.decode()}= tag")


def signer_of(tags: dict[bytes, bytes]) -> tuple[str, str]:
    """Return the domain and the selector. Raises Unusable."""
    domain, selector = host_name_of(tags[b"d"]), host_name_of(tags[b"s"])
    if domain is None or selector is None:
        raise _syntax("the signature's d= or s= is not a name")
    return domain, selector


def body_form(tags: dict[bytes, bytes]) -> tuple[bool, int | None]:
    """Return which canonical form of the body is signed (whether it is relaxed), and how much of it (l=).

    Raises Unusable.
    """
    return _canonicalization(tags.get(b"c", b"simple/simple"))[1], _number(tags, b"l", _LENGTH)


def check_times(signature: Signature, now_s: float) -> None:
    """Check t= and x=. Raises Unusable."""
    signed_at_s, expires_at_s = signature.signed_at_s, signature.expires_at_s
    # RFC 6376 §3.5: t= in the future may be ignored as a signature; x= must be later than t=.
    if signed_at_s is not None and signed_at_s > now_s + CLOCK_SKEW_S:
        raise Unusable(DkimWord.PERMERROR, DkimReason.FUTURE, "the signature is dated in the future (t=)")
    if expires_at_s is None:
        return
    if signed_at_s is not None and expires_at_s < signed_at_s:
        raise _syntax("the signature expires before it was made (x= before t=)")
    # RFC 6376 §3.5: an expired signature is not valid.
    if expires_at_s < now_s:
        raise Unusable(DkimWord.PERMERROR, DkimReason.EXPIRED, "the signature has expired (x=)")


def signed_data(signature: Signature, fields: Sequence[Field]) -> bytes:
    """Return the bytes that the signature signs (RFC 6376 §3.7): the named fields, then its own without b=."""
    canonical: Callable[[Field], bytes] = relaxed_field if signature.relaxed_header else simple_field
    remaining: dict[bytes, list[Field]] = {name: [] for name in signature.signed_names}
    for field in fields:
        # RFC 6376 §3.5: h= must not include the signature itself but may include others.
        if field.key in remaining and field is not signature.field:
            remaining[field.key].append(field)
    # RFC 6376 §5.4.2: instances are signed from the bottom up; one that does not exist counts as nothing.
    parts = [canonical(remaining[name].pop()) for name in signature.signed_names if remaining[name]]
    # RFC 6376 §3.7: the signature field comes last, its b= value deleted, without a trailing CRLF.
    parts.append(canonical(without_b(signature.field)))
    return b"\r\n".join(parts)


def without_b(field: Field) -> Field:
    """Return a signature field as it was signed: without what b= holds."""
    specs = field.value.split(b";")
    for index, spec in enumerate(specs):
        name, equals, _ = spec.partition(b"=")
        if equals and name.strip(_WHITE_SPACE) == b"b":
            specs[index] = name + equals
    return field._replace(value=b";".join(specs))


def _names(value: bytes) -> list[bytes]:
    return [name.strip(_WHITE_SPACE) for name in value.split(b":")]


def _signed_names(value: bytes) -> tuple[bytes, ...]:
    names = _names(value.lower())
    if len(names) > MAX_SIGNED_NAMES:
        raise _syntax("the signature names too many fields (h=)")
    # RFC 6376 §5.4: From must be signed.
    if b"from" not in names:
        raise Unusable(DkimWord.PERMERROR, DkimReason.FROM_UNSIGNED, "the signature does not cover From (h=)")
    return tuple(names)


def algorithm_of(tags: dict[bytes, bytes]) -> str:
    """Return what a= names. Raises Unusable."""
    # RFC 8301 §3.1: rsa-sha1 must not be accepted.
    if tags[b"a"] == b"rsa-sha1":
        raise Unusable(DkimWord.POLICY, DkimReason.ALGORITHM, "the signature uses SHA-1, which proves nothing any more")
    algorithm = _ALGORITHMS.get(tags[b"a"])
    if algorithm is None:
        raise Unusable(DkimWord.NEUTRAL, DkimReason.ALGORITHM, "the signature's algorithm is unknown (a=)")
    return algorithm


def _canonicalization(value: bytes) -> tuple[bool, bool]:
    # RFC 6376 §3.5: header/body; the body's defaults to simple.
    header, _, body = value.partition(b"/")
    try:
        return _CANONICALIZATIONS[header], _CANONICALIZATIONS[body or b"simple"]
    except KeyError:
        raise _syntax("the signature's canonicalization is unknown (c=)") from None


def _identity_domain(host: bytes, domain: str) -> str:
    identity_domain = host_name_of(host)
    # RFC 6376 §3.5: the domain of i= must be d= or below it.
    if identity_domain is None or not f".{identity_domain}".endswith(f".{domain}"):
        raise Unusable(DkimWord.PERMERROR, DkimReason.IDENTITY, "the signature's i= is not within its d=")
    return identity_domain


def octets_of(tags: dict[bytes, bytes], name: bytes) -> bytes:
    """Return what a tag's base64 stands for. Raises Unusable."""
    try:
        return base64.b64decode(tags[name].translate(None, _WHITE_SPACE), validate=True)
    except binascii.Error:
        raise _syntax(f"the signature's {name.decode()}= is not base64") from None


def _number(tags: dict[bytes, bytes], name: bytes, form: re.Pattern[bytes]) -> int | None:
    value = tags.get(name)
    if value is None:
        return None
    if not form.fullmatch(value):
        raise _syntax(f"the signature's {name.decode()}= is not a number")
    return int(value)
