"""Shared state of one process, in memory (PURE; the clock is an argument).

Owns: what `State` promises, for a stage with one worker and as what counting falls back to. No operation waits.
Bounds: 100,000 keys with a rate per window length; 50,000 values of each kind, which is what stands before the colon of
their key, so that a flood of one kind (first tries of the greylist) pushes out none of another (bans); see windows.py
and values.py for which go first. Places are bounded by those who hold them. All of it is gone with the process.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from shared.state.places import Places
from shared.state.port import Ask, Entry, Place
from shared.state.values import Values
from shared.state.windows import Windows

MAX_KEYS = 100_000
MAX_VALUES = 50_000


class MemoryState:
    """State in memory."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        max_keys: int = MAX_KEYS,
        max_values: int = MAX_VALUES,
        places: Places | None = None,
    ) -> None:
        self._clock = clock
        self._windows = Windows(max_keys)
        self._places = Places() if places is None else places
        self._values: defaultdict[str, Values] = defaultdict(lambda: Values(max_values))

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def take(self, asks: Sequence[Ask]) -> Ask | None:
        """Count all of them, or none: return the first that would exceed its rate."""
        return self._windows.take(asks, self._clock())

    async def enter(self, places: Sequence[Place]) -> Place | None:
        """Take all places, or none: return the first that is full."""
        return self._places.enter(places)

    async def leave(self, keys: Sequence[str]) -> None:
        """Give places back."""
        self._places.leave(keys)

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        """Return the values of keys."""
        now_s = self._clock()
        return [self._of(key).get(key, now_s) for key in keys]

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep a value for so long."""
        self._of(key).put(key, value, ttl_s, self._clock())

    async def put_first(self, key: str, value: str, ttl_s: float) -> str | None:
        """Keep a value if there is none; return the one that was there."""
        now_s = self._clock()
        found = self._of(key).get(key, now_s)
        if found is None:
            self._of(key).put(key, value, ttl_s, now_s)
        return found

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        """Add to a number, which is kept for so long from its beginning; return the sum."""
        return self._of(key).add(key, amount, ttl_s, self._clock())

    async def forget(self, key: str) -> bool:
        """Remove a key; return whether it was there."""
        return self._of(key).forget(key, self._clock())

    async def find(self, prefix: str, limit: int) -> list[Entry]:
        """Return at most so many keys that begin with a prefix, which names their kind whole, sorted."""
        return self._of(prefix).find(prefix, limit, self._clock())

    def _of(self, key: str) -> Values:
        return self._values[key.partition(":")[0]]
