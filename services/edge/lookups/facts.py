"""What DNS lists say about a client (PURE)."""

from dataclasses import dataclass
from ipaddress import IPv4Address


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
