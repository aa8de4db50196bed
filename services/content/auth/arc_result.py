"""Owns what the evaluation of ARC returns. PURE. Standards: RFC 8617 §4.4, RFC 8601 §2.7 (the words)."""

from dataclasses import dataclass
from enum import StrEnum


class ArcWord(StrEnum):
    """RFC 8617 §4.4: the chain's validation status; temperror where DNS gave no key."""

    NONE = "none"
    PASS = "pass"  # the standard's word
    FAIL = "fail"
    TEMPERROR = "temperror"


@dataclass(frozen=True, slots=True)
class ArcResult:
    """What a message's ARC chain says.

    sealers: the d= of each seal, the oldest first, of a chain that passes. dmarc_passed: whether the oldest set's
    Authentication-Results say dmarc=pass for the domain in From; what that is worth depends on who the sealers are.
    """

    word: ArcWord
    evidence: str
    sealers: tuple[str, ...] = ()
    dmarc_passed: bool = False
