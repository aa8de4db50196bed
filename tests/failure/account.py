"""The books of a test: what clients were told against what arrived (I/O: waits for the gateway).

Owns: the promises of DESIGN §5 as assertions over Message-IDs. Whoever got 250 is delivered, or stored in quarantine if
it is malware; nobody who got 4xx or 5xx is delivered, nor is any malware; duplicates are counted.
"""

import asyncio
import time
from dataclasses import dataclass

from tests.gateway import Gateway
from tests.load.client import Load, Outcome, Result
from tests.load.mail import Kind
from tests.load.sink import Sink

_ARRIVE_S = 120.0
_STORED_S = 30.0


@dataclass(frozen=True, slots=True)
class Books:
    """The figures of a test."""

    summary: str
    lost: set[str]
    delivered_though_refused: set[str]
    delivered_though_deferred: set[str]
    delivered_malware: set[str]
    duplicates: int

    def __str__(self) -> str:
        return (
            f"{self.summary}; lost {len(self.lost)}, duplicates {self.duplicates},"
            f" delivered after 5xx {len(self.delivered_though_refused)},"
            f" delivered after 4xx {len(self.delivered_though_deferred)}, malware {len(self.delivered_malware)}"
        )

    def assert_kept(self) -> None:
        """Nothing is lost, nothing is delivered that its sender still has, no malware passes."""
        assert not self.lost, str(self)
        assert not self.delivered_though_refused, str(self)
        assert not self.delivered_though_deferred, str(self)
        assert not self.delivered_malware, str(self)


async def close_books(load: Load, sink: Sink, gateway: Gateway) -> Books:
    """Wait until all is where it belongs and nothing moves any more; return the figures, and print them."""
    accepted = load.with_result(Result.ACCEPTED)
    lost = await sink.has(_ids(accepted, malware=False), _ARRIVE_S)
    await gateway.drained()
    lost = {message_id for message_id in lost if message_id not in sink.arrivals}
    lost |= await _not_stored(_ids(accepted, malware=True), gateway)
    arrived = set(sink.arrivals)
    books = Books(
        summary=load.summary(),
        lost=lost,
        delivered_though_refused=arrived & {outcome.message_id for outcome in load.with_result(Result.REFUSED)},
        delivered_though_deferred=arrived & {outcome.message_id for outcome in load.with_result(Result.DEFERRED)},
        delivered_malware=arrived & _ids(load.outcomes, malware=True),
        duplicates=sink.duplicates,
    )
    print(f"\n    {books}")
    return books


async def _not_stored(message_ids: set[str], gateway: Gateway) -> set[str]:
    """Return which of the malware that got 250 (no verdict came in time) is not in quarantine."""
    give_up_at = time.monotonic() + _STORED_S
    while missing := message_ids - await asyncio.to_thread(gateway.quarantined):
        if time.monotonic() > give_up_at:
            return missing
        await asyncio.sleep(0.5)
    return set()


def _ids(outcomes: list[Outcome], *, malware: bool) -> set[str]:
    return {outcome.message_id for outcome in outcomes if (outcome.kind is Kind.MALWARE) is malware}
