"""Owns what the evaluators return: closed words, closed reasons, evidence that is safe to show; and how our field tells
of them, written by authres. PURE.

Standards: RFC 8601 §2.2 (the field), §2.7 (the words and their meaning), RFC 6008 (header.b), RFC 9989 §4.
On failure: never raises; every value is a domain in its one spelling, an address, or of a closed list.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from authres.core import AuthenticationResult, AuthenticationResultProperty, AuthenticationResultsHeader

from services.content.auth.arc_result import ArcResult
from shared.auth.iprev import ReverseWord
from shared.auth.spf_result import SpfResult

# RFC 5322 §2.1.1: the recommended bound of a line.
_MAX_LINE_CHARACTERS = 78

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")


class DkimWord(StrEnum):
    """RFC 8601 §2.7.1: the results of one DKIM signature."""

    NONE = "none"
    PASS = "pass"  # the standard's word
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class DkimReason(StrEnum):
    """Why a signature has its word."""

    VERIFIED = "verified"
    PARTIAL_BODY = "partial_body"
    NO_SIGNATURE = "no_signature"
    HEADER_MALFORMED = "header_malformed"
    SYNTAX = "syntax"
    TOO_MANY = "too_many"
    SEVERAL_FROM = "several_from"
    FROM_UNSIGNED = "from_unsigned"
    ALGORITHM = "algorithm"
    EXPIRED = "expired"
    FUTURE = "future"
    IDENTITY = "identity"
    BODY_SHORTER = "body_shorter"
    BODY_CHANGED = "body_changed"
    SIGNATURE_WRONG = "signature_wrong"
    NO_KEY = "no_key"
    KEY_SYNTAX = "key_syntax"
    KEY_REVOKED = "key_revoked"
    KEY_SIZE = "key_size"
    KEY_FORBIDS = "key_forbids"
    DNS = "dns"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class DkimResult:
    """What one DKIM-Signature says.

    weak: the signature passes but covers only part of the body, so it proves nothing about the message.
    domain, selector: d= and s=, empty if unreadable. identity: i=. mark: the first characters of b= (RFC 6008).
    """

    word: DkimWord
    reason: DkimReason
    evidence: str
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    identity: str = ""
    mark: str = ""
    key_bits: int = 0
    weak: bool = False

    @property
    def proves_domain(self) -> bool:
        """Whether the domain may be taken as responsible for this message."""
        return self.word is DkimWord.PASS and not self.weak


class DmarcWord(StrEnum):
    """RFC 8601 §2.7.5 and RFC 9989: the results of DMARC."""

    NONE = "none"
    PASS = "pass"  # the standard's word
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Disposition(StrEnum):
    """What the domain owner asks to do with a message that fails."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """A DMARC record as it stands at a domain, for aggregate reports (RFC 9990 §3.1). sp, np: None where not given.

    adkim, aspf: "r" or "s". rua: the report addresses as written, no more than a few. discovery: how it was found.
    """

    domain: str
    p: Disposition
    sp: Disposition | None = None
    np: Disposition | None = None
    adkim: str = "r"
    aspf: str = "r"
    fo: str = "0"
    testing: bool = False
    rua: tuple[str, ...] = ()
    discovery: str = "treewalk"


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """What DMARC says of the author domain.

    disposition: what is asked for this message after t= (NONE unless word is FAIL).
    published: the assessment policy of p=, sp= or np= before t=. policy_domain: where the record stands.
    aligned: the identifiers that prove the author domain, as "dkim:<domain>" and "spf:<domain>".
    record: what is published, None without a policy.
    """

    word: DmarcWord
    evidence: str
    author_domain: str = ""
    policy_domain: str = ""
    disposition: Disposition = Disposition.NONE
    published: Disposition = Disposition.NONE
    aligned: tuple[str, ...] = ()
    testing: bool = False
    record: PublishedPolicy | None = None

    @property
    def dkim_aligned(self) -> bool:
        """Whether DKIM proves the author domain. Without `every`, only what was looked into counts."""
        return any(name.startswith("dkim:") for name in self.aligned)

    @property
    def spf_aligned(self) -> bool:
        """Whether SPF proves the author domain. Without `every`, only what was looked into counts."""
        return any(name.startswith("spf:") for name in self.aligned)


@dataclass(frozen=True, slots=True)
class IprevResult:
    """What the reverse DNS says of a client's address."""

    word: ReverseWord
    address: str


AuthResult = SpfResult | DkimResult | DmarcResult | ArcResult | IprevResult


def results_field(authserv_id: str, results: Iterable[AuthResult]) -> str:
    """Return the value of our Authentication-Results field, folded.

    RFC 8601 §2.2: without any result it says `none`.
    """
    header = AuthenticationResultsHeader(None, authserv_id, results=[_resinfo(result) for result in results])
    return _folded(header.header_value())


def _folded(value: str) -> str:
    """Return the value with a result a line, and lines within what RFC 5322 §2.1.1 recommends where words allow it.

    No word of ours holds a blank, so that each blank is a place to fold.
    """
    # RFC 5322 §2.1.1: lines of no more than 78 characters; the first one bears the field's name.
    lines, length = list[str](), len("Authentication-Results:")
    for word in value.split(" "):
        if lines and (lines[-1].endswith(";") or length + 1 + len(word) > _MAX_LINE_CHARACTERS):
            lines.append(word)
            # The tab counts as the eight columns that it takes in most readers.
            length = 8 + len(word)
        elif lines:
            lines[-1] += f" {word}"
            length += 1 + len(word)
        else:
            lines.append(word)
            length += 1 + len(word)
    return "\r\n\t".join(lines)


def _resinfo(result: AuthResult) -> AuthenticationResult:
    match result:
        case SpfResult():
            return _result("spf", result.word, "", (f"smtp.{result.identity}", result.domain))
        case DkimResult():
            return _dkim(result)
        case DmarcResult():
            asked = result.disposition if result.word is DmarcWord.FAIL else ""
            return _result("dmarc", result.word, "", ("header.from", result.author_domain), ("policy.dmarc", asked))
        case ArcResult():
            sealers = f"sealed by {', '.join(result.sealers)}" if result.sealers else ""
            return _result("arc", result.word, sealers)
        case IprevResult():
            return _result("iprev", result.word, "", ("policy.iprev", result.address))
        case _:
            assert_never(result)


def _dkim(result: DkimResult) -> AuthenticationResult:
    return _result(
        "dkim",
        result.word,
        "",
        ("header.d", result.domain),
        ("header.s", result.selector),
        ("header.a", result.algorithm),
        ("header.i", _shown_identity(result.identity)),
        # RFC 6008 §4: which signature it is.
        ("header.b", result.mark),
    )


def _result(method: str, word: str, comment: str, *properties: tuple[str, str]) -> AuthenticationResult:
    """Return a result with the properties that have a value. comment: of letters that need no quoting."""
    given = [(name.partition("."), value) for name, value in properties if value]
    return AuthenticationResult(
        method,
        result=word,
        result_comment=comment,
        properties=[AuthenticationResultProperty(kind, name, value) for (kind, _, name), value in given],
    )


def _shown_identity(identity: str) -> str:
    # authres writes whatever has an "@" as it is.
    local_part, _, domain = identity.rpartition("@")
    return f"{local_part}@{domain}" if _DOT_ATOM.fullmatch(local_part) else f"@{domain}" if domain else ""
