"""How long one message may wait for DNS, and how many messages of a process may wait long at a time (I/O through the
resolver).

Output: a Resolver for one message. Owns its time: beyond slow_s, it needs one of the places for those who wait; with a
place it has limit_s in all, and without one no more time. While all places are taken, half of slow_s is all the time
that a message has. docs/adr/2-slow-dns.md says why.
On failure: DnsTemporary; what is under way goes on, and is in the cache when the message comes again.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from shared.dns.answer import Answer, DnsTemporary, Resolver

_crowded = Counter("gatepost_dns_crowded_total", "Messages for whose slow DNS there was no place left to wait")

# Longer than the resolver's own SLOW_S, so that it sees who waits in vain, whether there is a place for them or not.
SLOW_S = 1.2
# RFC 7208 §4.6.4 would have at least 20 s. Deliberately less: the client's session waits for the verdict.
LIMIT_S = 6.0


class Patience:
    """The places of a process. places: messages that may wait longer than slow_s at a time."""

    def __init__(self, resolver: Resolver, places: int, *, slow_s: float = SLOW_S, limit_s: float = LIMIT_S) -> None:
        self.slow_s = slow_s
        self.limit_s = limit_s
        self._resolver = resolver
        self._free = places

    @contextmanager
    def for_message(self) -> Iterator["PatientResolver"]:
        """Lend a resolver to one message, whose time begins now."""
        patient = PatientResolver(self._resolver, self)
        try:
            yield patient
        finally:
            if patient.has_place:
                self._free += 1

    def time_s(self, place: bool | None) -> float:
        """Return how long a message may wait in all. place: whether it has one; None while it needs none yet."""
        if place is None:
            return self.slow_s if self._free else self.slow_s / 2
        return self.limit_s if place else 0

    def take_place(self) -> bool:
        """Return whether there was a place; it is then taken."""
        if not self._free:
            _crowded.inc()
            return False
        self._free -= 1
        return True


class PatientResolver:
    """One message's view of the resolver; implements the port Resolver."""

    def __init__(self, resolver: Resolver, patience: Patience) -> None:
        self._resolver = resolver
        self._patience = patience
        self._began_s = asyncio.get_running_loop().time()
        # None until the message has waited for slow_s.
        self._place: bool | None = None

    @property
    def has_place(self) -> bool:
        """Whether it holds one of the places."""
        return bool(self._place)

    def cached(self, name: str, rdtype: str) -> Answer | None:
        """Return what is known without asking, None if nothing is. Raises DnsTemporary, BadName."""
        return self._resolver.cached(name, rdtype)

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """Return the answer if it comes in the message's time. Raises DnsTemporary, BadName."""
        known = self._resolver.cached(name, rdtype)
        if known is not None:
            return known
        asking = asyncio.ensure_future(self._resolver.lookup(name, rdtype))
        # Its failure is not always ours to hear: the message may be given up at the same moment.
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            if await self._done_in_time(asking):
                return asking.result()
        finally:
            asking.cancel()
        raise DnsTemporary(name, rdtype, self._cause)

    async def _done_in_time(self, asking: "asyncio.Future[Answer]") -> bool:
        if await self._done_within(asking, self._patience.time_s(self._place)):
            return True
        # Another look-up of this message may have asked for the place meanwhile.
        if self._place is None:
            self._place = self._patience.take_place()
        return await self._done_within(asking, self._patience.time_s(self._place))

    @property
    def _cause(self) -> str:
        if self._place:
            return f"no answer in the {self._patience.limit_s:g} s that one message may wait for DNS"
        return "no answer soon, and too many messages wait for DNS already"

    async def _done_within(self, asking: "asyncio.Future[Answer]", limit_s: float) -> bool:
        left_s = self._began_s + limit_s - asyncio.get_running_loop().time()
        return bool((await asyncio.wait({asking}, timeout=max(left_s, 0)))[0])
