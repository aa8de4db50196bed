"""Whether DNS holds the record of a key, as this process last saw it (I/O through the resolver).

Owns: the proof that a key may be used: the very record was there, by an answer that is still good, or, while DNS does
not answer, by one that is not older than a day.
On failure: DnsTemporary: neither seen lately nor known to be absent.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.delivery.metrics import DKIM_UNPUBLISHED
from services.delivery.outgoing.signing_key import SigningKey
from shared.dkim_keys import RecordState, judge_records
from shared.dns.answer import Answer, BadName, DnsTemporary, Resolver

_log = structlog.get_logger()
PROOF_HOLDS_S = 86_400.0
_MOST_KEYS = 20_000


@dataclass(slots=True)
class _Seen:
    """What was seen last of a record. proved_at: when it was the right one, on the clock of the publication."""

    record: str
    answer: Answer | None = None
    state: RecordState = RecordState.ABSENT
    proved_at: float | None = None


class Publication:
    """What is known of the records of our keys. clock: seconds that only grow."""

    def __init__(self, resolver: Resolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolver = resolver
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    async def state_of(self, key: SigningKey) -> RecordState:
        """Return what DNS holds at the key's name; PUBLISHED alone lets it be used. Raises DnsTemporary."""
        name = key.name
        seen = self._seen.get(name)
        if seen is None or seen.record != key.record:
            if len(self._seen) >= _MOST_KEYS:
                self._seen.clear()
            seen = self._seen[name] = _Seen(key.record)
        try:
            answer = self._resolver.cached(name, "TXT") or await self._resolver.lookup(name, "TXT")
        except DnsTemporary:
            if seen.proved_at is not None and self._clock() - seen.proved_at <= PROOF_HOLDS_S:
                return RecordState.PUBLISHED
            raise
        except BadName:
            answer = Answer(name, "TXT", exists=False)
        # The same answer as the time before, which is nearly always so, was judged then.
        if answer is not seen.answer:
            self._judge(seen, answer, key)
        if seen.state is RecordState.PUBLISHED:
            seen.proved_at = self._clock()
        return seen.state

    def _judge(self, seen: _Seen, answer: Answer, key: SigningKey) -> None:
        state = judge_records(answer.texts(), key.record)
        if state is not RecordState.PUBLISHED:
            DKIM_UNPUBLISHED.inc()
            # What was proved before is disproved now.
            seen.proved_at = None
            if seen.answer is None or seen.state is not state:
                _log.error("dkim-key-not-published", name=key.name, found=state.value)
        elif seen.answer is not None and seen.state is not state:
            _log.info("dkim-key-published", name=key.name)
        seen.answer, seen.state = answer, state
