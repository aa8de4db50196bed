"""Whether the clocks of the hosts agree, by the order in which a mail passes them (PURE).

A mail cannot be judged before it came, nor be delivered before it was judged, nor be seen in the future: an event that
says so was told by a host whose clock is off, by at least that much.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.console.pulse.facts import Skew

# What the network and two processes may take, or a clock that is kept by NTP may be off.
TOLERATED_S = 2.0
# Of one id, which kinds come before which.
_BEFORE = (("received", "checked"), ("received", "judged"), ("queued", "attempt"), ("queued", "retry"))


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a host says that something happened."""

    id: str
    at: float
    host: str
    kind: str


def skews(stamps: Iterable[Stamp], here: str, now: float) -> tuple[Skew, ...]:
    """Return the hosts whose clock is off by more than is tolerated, the worst first. here: our own host's name."""
    worst: dict[tuple[str, str], float] = {}
    by_id: dict[str, dict[str, Stamp]] = {}
    for stamp in stamps:
        if stamp.host != here:
            _keep(worst, stamp.host, here, stamp.at - now)
        # The first of a kind: a mail may be tried several times.
        known = by_id.setdefault(stamp.id, {})
        if stamp.kind not in known or stamp.at < known[stamp.kind].at:
            known[stamp.kind] = stamp
    for kinds in by_id.values():
        for earlier, later in _BEFORE:
            first, second = kinds.get(earlier), kinds.get(later)
            if first is not None and second is not None and first.host != second.host:
                _keep(worst, first.host, second.host, first.at - second.at)
    ordered = sorted(worst.items(), key=lambda item: -item[1])
    return tuple(Skew(host, other, ahead_s) for (host, other), ahead_s in ordered)


def _keep(worst: dict[tuple[str, str], float], host: str, other: str, ahead_s: float) -> None:
    if ahead_s > TOLERATED_S and ahead_s > worst.get((host, other), 0.0):
        worst[host, other] = ahead_s
