"""PURE. The resolver's memory: answers and failures by name and type, until they expire or room is needed.

Owns: how long and how much is remembered. The time is an argument, in seconds of any clock that only moves forward.
Standards: RFC 1035 §3.2.1 (TTL), RFC 2308 §5 (negative answers), RFC 9520 §3.2 (failures are remembered, shortly).
"""

from collections import OrderedDict
from dataclasses import dataclass

from shared.dns.answer import Answer

MIN_TTL_S = 5.0
MAX_TTL_S = 86_400.0
MAX_NEGATIVE_TTL_S = 3_600.0
FAILURE_TTL_S = 2.0

# An answer may be 64 kB long, and strangers choose which ones we ask for: entries alone would be no bound on memory.
MAX_BYTES_PER_ENTRY_ON_AVERAGE = 1_000
_ENTRY_BYTES = 500
_RECORD_BYTES = 80


@dataclass(frozen=True, slots=True)
class Failure:
    """A lookup that failed. Kept instead of the exception, since raising one exception twice grows its traceback."""

    cause: str


Key = tuple[str, str]
Outcome = Answer | Failure


def lifetime_s(outcome: Outcome) -> float:
    """Return for how many seconds an outcome may be reused."""
    if isinstance(outcome, Failure):
        # RFC 9520 §3.2: failures must be cached, for at least 1 second, so that a dead server is not flooded.
        return FAILURE_TTL_S
    # RFC 2308 §5: negative answers live shorter; one to three hours were found sensible.
    longest_s = MAX_TTL_S if outcome.records else MAX_NEGATIVE_TTL_S
    # Deliberately at least 5 s, even for TTL 0: one message asks the same question in several checks.
    return min(max(outcome.ttl_s, MIN_TTL_S), longest_s)


def size_bytes(outcome: Outcome) -> int:
    """Return about how much memory an outcome and its key take."""
    if isinstance(outcome, Failure):
        return _ENTRY_BYTES
    texts = sum(len(record) for record in outcome.records if isinstance(record, bytes | str))
    return _ENTRY_BYTES + _RECORD_BYTES * len(outcome.records) + texts


class Cache:
    """At most max_entries outcomes, and 1 kB times as many in all; least recently used first out."""

    def __init__(self, max_entries: int) -> None:
        if max_entries < 1:
            raise ValueError("a cache needs room for one entry")
        self._max_entries = max_entries
        self._max_bytes = max_entries * MAX_BYTES_PER_ENTRY_ON_AVERAGE
        self._size_bytes = 0
        self._entries: OrderedDict[Key, tuple[float, Outcome]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, now_s: float) -> Outcome | None:
        """Return what is remembered and still good at now_s."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now_s:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: Key, outcome: Outcome, now_s: float) -> None:
        """Remember an outcome from now_s on, for its lifetime."""
        if key in self._entries:
            self._drop(key)
        self._entries[key] = (now_s + lifetime_s(outcome), outcome)
        self._size_bytes += size_bytes(outcome)
        while len(self._entries) > self._max_entries or self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def forget(self, key: Key) -> None:
        """Remember nothing of a question."""
        if key in self._entries:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self._size_bytes -= size_bytes(self._entries.pop(key)[1])
