"""Owns what the evaluators return: closed words, closed reasons, and evidence that is safe to show. PURE.

Standards: RFC 8601 §2.7 (the words and their meaning), RFC 6008 (header.b), RFC 9989 §4 (dispositions).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from shared.auth.spf_result import SpfResult

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
class DmarcResult:
    """What DMARC says of the author domain.

    disposition: what is asked for this message after t= (NONE unless word is FAIL).
    published: the assessment policy of p=, sp= or np= before t=. policy_domain: where the record stands.
    aligned: the identifiers that prove the author domain, as "dkim:<domain>" and "spf:<domain>".
    """

    word: DmarcWord
    evidence: str
    author_domain: str = ""
    policy_domain: str = ""
    disposition: Disposition = Disposition.NONE
    published: Disposition = Disposition.NONE
    aligned: tuple[str, ...] = ()
    testing: bool = False


AuthResult = SpfResult | DkimResult | DmarcResult


def authentication_results(result: AuthResult) -> str:
    """Return the result as the resinfo of an Authentication-Results field, without line breaks (RFC 8601 §2.2)."""
    if isinstance(result, SpfResult):
        return f"spf={result.word}" + _property(f"smtp.{result.identity}", result.domain)
    if isinstance(result, DmarcResult):
        return f"dmarc={result.word}" + _property("header.from", result.author_domain)
    properties = (
        ("header.d", result.domain),
        ("header.s", result.selector),
        ("header.a", result.algorithm),
        ("header.i", _shown_identity(result.identity)),
        ("header.b", f'"{result.mark}"' if result.mark else ""),
    )
    return f"dkim={result.word}" + "".join(_property(name, value) for name, value in properties)


def _property(name: str, value: str) -> str:
    return f" {name}={value}" if value else ""


def _shown_identity(identity: str) -> str:
    local_part, _, domain = identity.rpartition("@")
    return f"{local_part}@{domain}" if _DOT_ATOM.fullmatch(local_part) else f"@{domain}" if domain else ""
