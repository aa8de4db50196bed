"""How fast a message must come (PURE): a mean over the whole, so that no octet is looked at.

Standard: RFC 5321 §4.5.3.2.5 and §4.5.3.2.6 give timeouts for waiting only, which a client that drips never meets.
"""

from dataclasses import dataclass

# Slow links and slow starts have this much time beyond what their octets have earned.
GRACE_S = 30.0


@dataclass(slots=True)
class Pace:
    """One message's way in. started, end: loop times. octets: what has come. least_per_s: 0 asks for nothing."""

    started: float
    end: float
    least_per_s: int
    grace_s: float = GRACE_S
    octets: int = 0

    @property
    def slow_at(self) -> float:
        """The time from which on the message is too slow, unless more of it comes."""
        if not self.least_per_s:
            return float("inf")
        return self.started + self.grace_s + self.octets / self.least_per_s

    @property
    def until(self) -> float:
        """How long the next octet may be awaited."""
        return min(self.end, self.slow_at)
