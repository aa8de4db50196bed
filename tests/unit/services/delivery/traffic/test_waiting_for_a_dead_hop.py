"""100,000 messages wait for a dead hop: they come by evenly, and are delivered soon after it is well. Time is played."""

import heapq
from collections import Counter

import pytest

from services.delivery.gate import LONGEST_PAUSE_S, Busy
from services.delivery.hops import Hops
from services.delivery.traffic.manner import FINE, Manner, Went
from shared.broker.topology import DELIVERY_RUNGS_S
from shared.policy import DeliveryRules
from tests.unit.services.delivery.clock import Clock

RULES = DeliveryRules()
DEAD = Manner(Went.UNREACHABLE, "connection refused")
LONGEST_S = DELIVERY_RUNGS_S[-1]
MOMENTS_PER_S = 50


class Ladder:
    """The delivery stage and its ladder, in played time. per_s: how many new messages it takes from the queue."""

    def __init__(self, count: int, per_s: float) -> None:
        self.clock = Clock()
        self.hops = Hops(self.clock, prefetch=70)
        self._coming = [(self.clock.now + number / per_s, number) for number in range(count)]
        self.first_pass_over = self._coming[-1][0]
        # By second: how many come by, of those that have waited.
        self.came_by: Counter[int] = Counter()
        # By fiftieth of a second.
        self.came_at_once: Counter[int] = Counter()
        self.delivered: list[float] = []
        self.attempts = 0

    async def play(self, until: float, *, dead: bool, took_s: float = 0.02) -> None:
        """Handle what comes until then, one at a time."""
        while self._coming and self._coming[0][0] <= until:
            self.clock.now, number = heapq.heappop(self._coming)
            if self.clock.now > self.first_pass_over:
                self.came_by[int(self.clock.now)] += 1
                self.came_at_once[int(self.clock.now * MOMENTS_PER_S)] += 1
            try:
                state = await self.hops.enter("smtp://dead:25", RULES)
            except Busy as busy:
                wait_s = self.hops.away_s("smtp://dead:25", busy)
                assert wait_s in DELIVERY_RUNGS_S
                heapq.heappush(self._coming, (self.clock.now + wait_s, number))
                continue
            self.attempts += 1
            state.gate.leave(took_s, DEAD if dead else FINE)
            if dead:
                # An attempt, whose message comes again when its own next try is due.
                heapq.heappush(self._coming, (self.clock.now + LONGEST_S, number))
            else:
                self.delivered.append(self.clock.now)

    def fastest(self, over_s: int) -> float:
        """Return at how many per second they came by at the most, over any so many seconds."""
        first, last = min(self.came_by), max(self.came_by)
        return max(
            sum(self.came_by[second] for second in range(begin, begin + over_s)) / over_s
            for begin in range(first, last - over_s + 2)
        )

    def in_company(self, of: int) -> float:
        """Return which part of them came by with so many others, or more, in the same fiftieth of a second."""
        return sum(count for count in self.came_at_once.values() if count > of) / self.came_at_once.total()


# How quickly the first pass goes decides how evenly it can be spread: a rung's wait is the same for all on it. After a
# quick one, 130 to 140 come by per second for a quarter of an hour, 120 later.
@pytest.mark.parametrize(("per_s", "most_per_s"), [(300, 122), pytest.param(1000, 145, marks=pytest.mark.slow)])
async def test_100000_messages_come_by_evenly_and_are_delivered_soon_after_it_is_well(
    per_s: float, most_per_s: float
) -> None:
    ladder = Ladder(100_000, per_s)
    recovers_at = ladder.first_pass_over + LONGEST_S
    await ladder.play(recovers_at, dead=True)
    assert ladder.fastest(over_s=1) <= most_per_s
    assert ladder.fastest(over_s=60) <= most_per_s
    # Nor in bursts within the second: those held up new mail (p99 by five times) at the same pace.
    assert ladder.in_company(of=5) < 0.1
    # One try after each pause.
    assert ladder.attempts < 15
    await ladder.play(recovers_at + 10 * LONGEST_S, dead=False)
    assert len(ladder.delivered) == 100_000
    assert max(ladder.delivered) - recovers_at <= LONGEST_PAUSE_S + LONGEST_S


async def test_a_few_messages_come_by_every_five_seconds() -> None:
    ladder = Ladder(10, 100)
    for number in range(10):
        assert ladder.hops.away_s("hop", Busy("full")) == 5
        assert ladder.hops.waiting("hop") == number + 1
    ladder.clock.now += 6
    assert ladder.hops.waiting("hop") == 0
