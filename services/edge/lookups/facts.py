"""What the look-ups about a client return (PURE).

Standards: RFC 8601 §2.7.3 (the words of iprev).
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address


class ReverseWord(StrEnum):
    """RFC 8601 §2.7.3: the results of checking an address's name in both directions."""

    PASS = "pass"  # the standard's word
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class ReverseResult:
    """What DNS says of a client's name. name: confirmed; empty if there is none, None if nobody can tell now."""

    word: ReverseWord
    name: str | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One list that lists the client. score: of its strongest answer. text: the list's own reason, made safe."""

    zone: str
    answer: IPv4Address
    score: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class ListFindings:
    """What all lists together say. score: the sum over the hits. asked: how many lists. failed: who gave no answer."""

    score: int = 0
    hits: tuple[Hit, ...] = ()
    asked: int = 0
    failed: tuple[str, ...] = ()

    @property
    def heaviest(self) -> Hit | None:
        """The list that weighs most against the client."""
        against = [hit for hit in self.hits if hit.score > 0]
        return max(against, key=lambda hit: hit.score) if against else None
