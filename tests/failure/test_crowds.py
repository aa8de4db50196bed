"""10,000 idle connections and 200 slow senders at once: others' mail flows, and memory stays bounded."""

import statistics

import pytest

from tests.failure.conftest import RECIPIENT
from tests.gateway import Gateway
from tests.load.client import Load, Result
from tests.load.crowd import Crowd
from tests.load.mail import Kind, Mailbag
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EDGE_MIB = 500
_LIMITS = "connections = 20000\nmin_data_bytes_per_s = 0\n"
_MESSAGES = 400


async def test_a_crowd_of_idle_and_slow_clients_holds_nobody_up(closed_gateway: Gateway, sink: Sink) -> None:
    await closed_gateway.open({"sink.test": f"smtp://127.0.0.1:{sink.port}"}, _LIMITS)
    await _waits(closed_gateway)
    alone = await _waits(closed_gateway)
    async with Crowd(closed_gateway.port).standing(idle=10_000, slow=200) as crowd:
        crowded = await _waits(closed_gateway)
        assert await closed_gateway.metric("edge", "gatepost_edge_open_sessions") >= 10_200
        assert not crowd.lost
    again = await _waits(closed_gateway)
    (peak_mib,) = closed_gateway.peak_mib("edge")
    print(f"\n    alone {_shown(alone)}; crowded {_shown(crowded)}; again {_shown(again)}; edge {peak_mib:.0f} MiB")
    assert peak_mib < EDGE_MIB


async def _waits(gateway: Gateway) -> list[float]:
    """Return the seconds from MAIL to 250 of a good client's messages."""
    load = Load(gateway.port, [Mailbag(RECIPIENT)], (Kind.PLAIN,), sessions=1)
    await load.run(_MESSAGES)
    assert load.count(Result.ACCEPTED) == _MESSAGES, load.summary()
    return [outcome.took_s for outcome in load.outcomes]


def _shown(waits_s: list[float]) -> str:
    hundredths = statistics.quantiles(waits_s, n=100)
    return f"p50 {hundredths[49] * 1000:.1f} ms, p99 {hundredths[98] * 1000:.1f} ms"
