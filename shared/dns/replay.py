"""Run synchronous code that needs DNS (dkimpy, pyspf) without blocking and without threads.

Owns: evaluating again and again, each time with one answer more, until nothing is missing. Keeps no state.
Input: an evaluation that takes a synchronous look-up and has no other effects. Output: its result.
On failure: an answer that is missing for good is DnsTemporary, raised inside the evaluation at that very look-up.
"""

from collections.abc import Callable
from typing import TypeVar

from shared.dns.answer import Answer, DnsTemporary, Resolver

T = TypeVar("T")
Lookup = Callable[[str, str], Answer]


class NeedLookup(BaseException):
    """Leaves an evaluation for want of an answer. A BaseException, so that library code lets it fly."""

    def __init__(self, name: str, rdtype: str) -> None:
        super().__init__(f"{name} {rdtype}")
        self.name = name
        self.rdtype = rdtype


async def replay(resolver: Resolver, evaluate: Callable[[Lookup], T], *, max_lookups: int = 60) -> T:
    """Return the result of evaluate; what it raises, other than NeedLookup, passes through.

    max_lookups: different questions, cached or not, that one evaluation may ask; any further one is a DnsTemporary.
    """
    memo = _Memo(resolver, max_lookups)
    while True:
        memo.missing = None
        try:
            result = evaluate(memo.lookup)
        except (Exception, NeedLookup):
            if memo.missing is None:
                raise
        else:
            if memo.missing is None:
                return result
        # Both libraries have bare "except:" clauses: what they make of a look-up that left is void, whatever it is.
        await memo.fetch(memo.missing)


class _Memo:
    """The answers of one evaluation; all its passes see the same ones."""

    def __init__(self, resolver: Resolver, max_lookups: int) -> None:
        self.missing: NeedLookup | None = None
        self._resolver = resolver
        self._max_lookups = max_lookups
        self._known: dict[tuple[str, str], Answer | DnsTemporary] = {}

    def lookup(self, name: str, rdtype: str) -> Answer:
        found = self._known.get((name, rdtype)) or self._from_cache(name, rdtype)
        if isinstance(found, DnsTemporary):
            # A fresh one each time: an exception raised twice grows its traceback.
            raise DnsTemporary(found.name, found.rdtype, found.cause)
        return found

    def _from_cache(self, name: str, rdtype: str) -> Answer | DnsTemporary:
        if len(self._known) >= self._max_lookups:
            return DnsTemporary(name, rdtype, f"more than {self._max_lookups} look-ups in one evaluation")
        try:
            found: Answer | DnsTemporary | None = self._resolver.cached(name, rdtype)
        except DnsTemporary as error:
            found = error
        if found is None:
            self.missing = NeedLookup(name, rdtype)
            raise self.missing
        self._known[name, rdtype] = found
        return found

    async def fetch(self, need: NeedLookup) -> None:
        try:
            self._known[need.name, need.rdtype] = await self._resolver.lookup(need.name, need.rdtype)
        except DnsTemporary as error:
            self._known[need.name, need.rdtype] = error
