"""The port to state that workers share (PURE).

Owns: `State`, whose operations are each atomic: over all workers where it stands in Redis, in one process otherwise.
Keys are text of the caller's (`rate:connections:192.0.2.1`); values are text. Times are seconds.
On failure: StateUnavailable; the caller stands aside, and says so. Counting (`take`, `enter`) never fails: where the
shared state is away, it goes on in this process alone.

A rate is a sliding window: in *no* span of `per_s` seconds are more than `count` counted, and from nothing exactly
`count` pass at once. What was counted is forgotten at the earliest after `per_s`, at the latest a twelfth of it later;
what was refused is not counted. An ask for more than the whole `count` is refused always. A key is counted apart for
each window length. A process that closes or dies gives its places back by that, within 15 seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.policy.table import Rate


class StateUnavailable(Exception):
    """The shared state cannot be reached now."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be counted: an amount under a key, and the rate that it may not exceed."""

    key: str
    rate: Rate
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A place to be taken under a key of which at most so many are taken at once."""

    key: str
    limit: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value, and for how many more seconds it is kept."""

    key: str
    value: str
    left_s: float


class State(Protocol):
    """Shared state."""

    async def take(self, asks: Sequence[Ask]) -> Ask | None:
        """Count all of them, or none: return the first that would exceed its rate."""

    async def enter(self, places: Sequence[Place]) -> Place | None:
        """Take all places, or none: return the first that is full. Places of a process that died become free."""

    async def leave(self, keys: Sequence[str]) -> None:
        """Give places back."""

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        """Return the values of keys. Raises StateUnavailable."""

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep a value for so long. Raises StateUnavailable."""

    async def put_first(self, key: str, value: str, ttl_s: float) -> str | None:
        """Keep a value if there is none; return the one that was there. Raises StateUnavailable."""

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        """Add to a number, which is kept for so long from its beginning; return the sum. Raises StateUnavailable."""

    async def forget(self, key: str) -> bool:
        """Remove a key; return whether it was there. Raises StateUnavailable."""

    async def find(self, prefix: str, limit: int) -> list[Entry]:
        """Return at most so many keys that begin with a prefix, sorted. Raises StateUnavailable.

        prefix: what stands before the first colon of a key, whole, and perhaps more.
        """
