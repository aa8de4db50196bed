"""The probes of one hop: at most two at a time, a few that wait, and the sessions kept for them (I/O).

Probes have sessions of their own, for a server that counts refused recipients against a session must not count them
against mail. A session is used again until so many recipients were refused on it.
On failure: TooManyProbes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from services.delivery.client.pool import Pool, PoolKey
from services.delivery.client.session import Session
from services.delivery.traffic.seats import Seats
from shared.policy import DeliveryRules

AT_ONCE = 2
WAITING_LIMIT = 10
# Postfix slows a session down after ten errors and closes it after twenty.
REFUSED_LIMIT = 5


class TooManyProbes(Exception):
    """Enough probes wait for this hop."""


class Probing:
    """What is kept of one hop for probes. seats: the hop's, for mail and probes together."""

    def __init__(self, seats: Seats) -> None:
        self.pool = Pool(seats)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._inside = 0

    @property
    def is_idle(self) -> bool:
        """Whether no probe is under way and no session is kept."""
        return not self._inside and not len(self.pool)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold one of the places. Raises TooManyProbes."""
        if self._inside >= AT_ONCE + WAITING_LIMIT:
            raise TooManyProbes
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1

    def give_back(self, session: Session, rules: DeliveryRules, key: PoolKey = None) -> None:
        """Keep a session for the next probe on the same terms, or close it."""
        idle_s = rules.idle_timeout_s if session.refused < REFUSED_LIMIT else 0.0
        self.pool.give_back(session, rules, key, idle_s)
