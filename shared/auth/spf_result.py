"""Owns what the evaluation of SPF returns: closed words, and evidence that is safe to show. PURE.

Standards: RFC 7208 §2.6 (the words and their meaning).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

_MAX_EVIDENCE_CHARACTERS = 300
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def plain(text: str, limit: int = _MAX_EVIDENCE_CHARACTERS) -> str:
    """Return outside text as printable ASCII without quotes and backslashes, cut to `limit` characters."""
    return _UNSAFE.sub("?", text[:limit])


class SpfWord(StrEnum):
    """RFC 7208 §2.6: the results of check_host()."""

    PASS = "pass"  # the standard's word
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class SpfIdentity(StrEnum):
    """Which name of the SMTP session was checked."""

    MAIL_FROM = "mailfrom"
    HELO = "helo"


@dataclass(frozen=True, slots=True)
class SpfResult:
    """What SPF says of one client and one identity.

    mechanism: the term of the record that decided, as published, empty if none did.
    explanation: the domain owner's own text for a fail, made safe; show it only as theirs.
    """

    word: SpfWord
    identity: SpfIdentity
    domain: str
    evidence: str
    mechanism: str = ""
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class SpfResults:
    """What SPF says of both identities of one session (RFC 7208 §2.3 and §2.4).

    helo: None where the HELO name is no domain, or where mail_from is of it already (the null sender).
    """

    mail_from: SpfResult
    helo: SpfResult | None

    @property
    def of_helo(self) -> SpfResult | None:
        """What is known of the HELO name, whichever check found it."""
        return self.mail_from if self.mail_from.identity is SpfIdentity.HELO else self.helo
