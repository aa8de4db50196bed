"""That no message can go to a hop now (PURE)."""

from shared.policy.table import Rate

# Mail above a cap waits on the shortest rung of the ladder.
SHORTEST_PARK_S = 5.0
# What waits for a hop of which nothing better is known comes by at this rate at most, all of it together. Each one that
# comes by in vain costs the broker two writes.
PACE_PER_S = 110.0
# What is above a rate comes by again after a fraction of its span: for a minute 5 s, for an hour 30 s, for a day 300 s.
_SPAN_PARTS = 120
_LONGEST_RATE_PARK_S = 300.0


class Busy(Exception):
    """No place now. wait_s: how long to stay away at least. pace: how many of those that wait may come by in a second.

    How long a message stays away, so that not all come at once, `Hops.away_s` says.
    """

    def __init__(self, reason: str, wait_s: float = SHORTEST_PARK_S, pace: float = PACE_PER_S) -> None:
        super().__init__(reason)
        self.wait_s = max(wait_s, SHORTEST_PARK_S)
        self.pace = pace


def busy_by(rate: Rate) -> Busy:
    """Return what to say to a message that a rate holds up. Twice the rate comes by, so that none of it is lost."""
    wait_s = min(_LONGEST_RATE_PARK_S, rate.per_s / _SPAN_PARTS)
    return Busy(
        f"waiting for its turn: no more than {rate} go there", wait_s, min(PACE_PER_S, 2 * rate.count / rate.per_s)
    )
