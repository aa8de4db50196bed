"""Results of scans, kept for a while (PURE; the time is an argument).

Owns: `ResultCache`. A result belongs to the bytes that were scanned, by their digest, and to the signatures that they
were scanned with; with other signatures it is not found any more.
What goes beyond a limit is not kept: how much an engine looks at within its time depends on what else it has to do.
"""

from collections import OrderedDict

from services.content.engines.scan import Exceeded, ScanResult

TTL_S = 600.0


class ResultCache:
    """The results of one worker. entries: how many are kept; the longest unused goes first."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._results: OrderedDict[tuple[bytes, str], tuple[float, ScanResult]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._results)

    def get(self, digest: bytes, signatures: str, now: float) -> ScanResult | None:
        """Return the result, if it is there and fresh."""
        key = digest, signatures
        kept = self._results.get(key)
        if kept is None:
            return None
        until, result = kept
        if until <= now:
            del self._results[key]
            return None
        self._results.move_to_end(key)
        return result

    def put(self, digest: bytes, signatures: str, result: ScanResult, now: float) -> None:
        """Keep a result from now on."""
        if isinstance(result, Exceeded) or self._entries == 0:
            return
        self._results[digest, signatures] = now + TTL_S, result
        self._results.move_to_end((digest, signatures))
        if len(self._results) > self._entries:
            self._results.popitem(last=False)
