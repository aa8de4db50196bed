"""Shared state that goes on without Redis where it can (I/O through what it is given).

Owns: what is done while Redis is away. Rates and places are counted in the memory of this process alone: a limit then
holds per process, and a rate begins anew at each change. Places are known to this process in any case (redis.py), so
those taken before, during and after an outage are given back alike. Values are not guessed: StateUnavailable.
"""

from collections.abc import Sequence

from prometheus_client import Counter

from shared.settings import RedisSettings
from shared.state.memory import MemoryState
from shared.state.places import Places
from shared.state.port import Ask, Entry, Place, StateUnavailable
from shared.state.redis import RedisState

_alone = Counter("gatepost_shared_state_fallbacks_total", "Counted by this process alone, Redis being away", ["what"])


class FallbackState:
    """State in Redis; rates and places in memory while Redis is away."""

    def __init__(self, settings: RedisSettings) -> None:
        places = Places()
        self._redis = RedisState(settings, places)
        self._memory = MemoryState(places=places)
        self._takes_alone, self._enters_alone = _alone.labels("take"), _alone.labels("enter")

    @property
    def is_up(self) -> bool:
        """Whether Redis can be reached, as far as is known."""
        return self._redis.is_up

    async def start(self) -> None:
        """Reach for Redis; whether it is there or not, counting can begin."""
        await self._redis.start()

    async def close(self) -> None:
        """Give all places back and close the connections."""
        await self._redis.close()

    async def take(self, asks: Sequence[Ask]) -> Ask | None:
        """Count all of them, or none: return the first that would exceed its rate."""
        try:
            return await self._redis.take(asks)
        except StateUnavailable:
            self._takes_alone.inc()
            return await self._memory.take(asks)

    async def enter(self, places: Sequence[Place]) -> Place | None:
        """Take all places, or none: return the first that is full."""
        try:
            return await self._redis.enter(places)
        except StateUnavailable:
            self._enters_alone.inc()
            return await self._memory.enter(places)

    async def leave(self, keys: Sequence[str]) -> None:
        """Give places back."""
        await self._redis.leave(keys)

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        """Return the values of keys. Raises StateUnavailable."""
        return await self._redis.get(keys)

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep a value for so long. Raises StateUnavailable."""
        await self._redis.put(key, value, ttl_s)

    async def put_first(self, key: str, value: str, ttl_s: float) -> str | None:
        """Keep a value if there is none; return the one that was there. Raises StateUnavailable."""
        return await self._redis.put_first(key, value, ttl_s)

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        """Add to a number, which is kept for so long from its beginning; return the sum. Raises StateUnavailable."""
        return await self._redis.add(key, amount, ttl_s)

    async def forget(self, key: str) -> bool:
        """Remove a key; return whether it was there. Raises StateUnavailable."""
        return await self._redis.forget(key)

    async def find(self, prefix: str, limit: int) -> list[Entry]:
        """Return at most so many keys that begin with a prefix, sorted. Raises StateUnavailable."""
        return await self._redis.find(prefix, limit)
