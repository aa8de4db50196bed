"""State shared by all workers, in Redis (I/O).

Owns: one Redis script per operation, so that each is atomic over all workers; and the beat, a task that every four
seconds says that this process lives. Places of a process that died become free within twelve seconds of its last beat.
Rates: the rules of windows.py, by Redis's clock. Values go when their time is over, or earlier where Redis runs out of
memory. Needs Redis 6 or later (or Valkey), no cluster.
On failure: StateUnavailable, from `take` and `enter`, too (fallback.py goes on in memory); `leave` never fails. While
Redis is away, one attempt a second is made to reach it; see link.py.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from heapq import nsmallest

from shared.ids import new_id
from shared.settings import RedisSettings
from shared.state import scripts
from shared.state.keys import PROCESSES, places_key, plain_key, value_key, values_pattern, window_key
from shared.state.link import RedisLink, Script
from shared.state.places import Places
from shared.state.port import Ask, Entry, Place, StateUnavailable
from shared.state.presence import Presence
from shared.state.wire import Word

_BEAT_S = 4.0
_PROBE_S = 1.0
_SCANNED = 1000

_TAKE = Script(scripts.TAKE)
_ENTER = Script(scripts.ENTER)
_LEAVE = Script(scripts.LEAVE)
_BEAT = Script(scripts.BEAT)
_RENAME = Script(scripts.RENAME)
_PUT_FIRST = Script(scripts.PUT_FIRST)
_ADD = Script(scripts.ADD)


class RedisState:
    """State in Redis."""

    def __init__(self, settings: RedisSettings, places: Places | None = None) -> None:
        self._places = Places() if places is None else places
        self._presence = Presence(new_id(), self._places)
        self._link = RedisLink(settings)
        self._beating: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether Redis can be reached, as far as is known."""
        return self._link.is_up

    async def start(self) -> None:
        """Reach for Redis, and go on in the background if it is not there yet."""
        with contextlib.suppress(StateUnavailable):
            await self._beat_once()
        self._beating = asyncio.create_task(self._keep_beating())

    async def close(self) -> None:
        """Give all places back and close the connections."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        with contextlib.suppress(StateUnavailable):
            await self._link.call("HDEL", PROCESSES, self._presence.name)
        await self._link.close()

    async def take(self, asks: Sequence[Ask]) -> Ask | None:
        """Count all of them, or none: return the first that would exceed its rate. Raises StateUnavailable."""
        if not asks:
            return None
        names = [window_key(ask.key, ask.rate.per_s) for ask in asks]
        arguments = [figure for ask in asks for figure in (ask.rate.count, ask.rate.per_s, ask.amount)]
        refused: int = await self._link.run(_TAKE, names, arguments)
        return asks[refused - 1] if refused else None

    async def enter(self, places: Sequence[Place]) -> Place | None:
        """Take all places, or none: return the first that is full. Raises StateUnavailable."""
        if not places:
            return None
        keys = [place.key for place in places]
        names = [PROCESSES, *[places_key(key) for key in keys]]
        arguments: list[Word] = [self._presence.name]
        for place in places:
            arguments += [place.limit, self._places.count(place.key)]
        try:
            full: int = await self._link.run(_ENTER, names, arguments)
        except asyncio.CancelledError:
            self._presence.doubt(keys)
            raise
        if full:
            return places[full - 1]
        self._places.hold(keys)
        return None

    async def leave(self, keys: Sequence[str]) -> None:
        """Give places back; where Redis is away, it hears of it when it is back."""
        if not keys:
            return
        self._places.leave(keys)
        try:
            await self._link.run(_LEAVE, [places_key(key) for key in keys], [self._presence.name])
        except StateUnavailable:
            return  # the first beat after an outage tells all that is held then
        except asyncio.CancelledError:
            self._presence.doubt(keys)
            raise

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        """Return the values of keys. Raises StateUnavailable."""
        if not keys:
            return []
        found: list[str | None] = await self._link.call("MGET", *[value_key(key) for key in keys])
        return found

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep a value for so long. Raises StateUnavailable."""
        await self._link.call("SET", value_key(key), value, "PX", _milliseconds(ttl_s))

    async def put_first(self, key: str, value: str, ttl_s: float) -> str | None:
        """Keep a value if there is none; return the one that was there. Raises StateUnavailable."""
        found: str | None = await self._link.run(_PUT_FIRST, [value_key(key)], [value, _milliseconds(ttl_s)])
        return found

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        """Add to a number, which is kept for so long from its beginning; return the sum. Raises StateUnavailable."""
        total: int = await self._link.run(_ADD, [value_key(key)], [amount, _milliseconds(ttl_s)])
        return total

    async def forget(self, key: str) -> bool:
        """Remove a key; return whether it was there. Raises StateUnavailable."""
        removed: int = await self._link.call("DEL", value_key(key))
        return removed > 0

    async def find(self, prefix: str, limit: int) -> list[Entry]:
        """Return at most so many keys that begin with a prefix, sorted. Raises StateUnavailable.

        It walks through all of Redis's keys, a thousand at a time: for people, not for each mail.
        """
        names: list[str] = []
        cursor = None
        while cursor != "0":
            cursor, page = await self._link.call(
                "SCAN", cursor or "0", "MATCH", values_pattern(prefix), "COUNT", _SCANNED
            )
            # A name may come twice.
            names = nsmallest(limit, {*names, *page})
        if not names:
            return []
        values, *left_ms = await asyncio.gather(
            self._link.call("MGET", *names), *[self._link.call("PTTL", name) for name in names]
        )
        return [
            Entry(plain_key(name), value, left / 1000)
            for name, value, left in zip(names, values, left_ms, strict=True)
            if value is not None
        ]

    async def _keep_beating(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_S):
                    await self._link.lost.wait()
            if not self._link.is_up:
                await asyncio.sleep(_PROBE_S)
            with contextlib.suppress(StateUnavailable):
                await self._beat_once()

    async def _beat_once(self) -> None:
        """Tell Redis that this process lives, and what it holds; after an outage all of it, under a new name."""
        if not self._link.is_up:
            name = new_id()
            await self._link.connect(_RENAME, [PROCESSES], [self._presence.name, name])
            self._presence.begin_anew(name)
        for keys in self._presence.chunks():
            in_redis: list[int] = await self._link.run(_BEAT, *self._presence.beat(keys))
            self._presence.compare(keys, in_redis)


def _milliseconds(ttl_s: float) -> int:
    return max(1, round(ttl_s * 1000))
