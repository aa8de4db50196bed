"""A destination that is dead, and one that is slow, hold up nobody else's mail."""

import asyncio
import statistics

import pytest

from infra.local.ports import free_ports
from tests.gateway import Gateway
from tests.load.client import Load, Result
from tests.load.mail import Kind, Mailbag
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EACH = 200
SLOW_S = 15.0


async def test_a_dead_and_a_slow_destination_do_not_hold_up_a_healthy_one(closed_gateway: Gateway, sink: Sink) -> None:
    slow = Sink()
    slow.delay_s = SLOW_S
    (closed_port,) = free_ports(1)
    async with slow.listening():
        await closed_gateway.open(
            {
                "dead.test": f"smtp://127.0.0.1:{closed_port}",
                "slow.test": f"smtp://127.0.0.1:{slow.port}",
                "sink.test": f"smtp://127.0.0.1:{sink.port}",
            }
        )
        bags = [Mailbag(f"user@{domain}") for domain in ("dead.test", "slow.test", "sink.test")]
        load = Load(closed_gateway.port, bags, (Kind.PLAIN,), sessions=10, per_connection=5)
        await load.run(3 * EACH)
        assert load.count(Result.ACCEPTED) == 3 * EACH, load.summary()
        healthy = [outcome for outcome in load.outcomes if outcome.recipient.endswith("@sink.test")]
        missing = await sink.has((outcome.message_id for outcome in healthy), 30)
        waits = [sink.arrived_at[o.message_id] - o.began - o.took_s for o in healthy if o.message_id not in missing]
        print(
            f"\n    healthy: {len(waits)} of {len(healthy)} arrived, median {statistics.median(waits):.2f} s"
            f" and at most {max(waits):.2f} s after the 250; slow: {len(slow.arrivals)} by then"
        )
        assert not missing
        assert max(waits) < SLOW_S / 2
        # The others' mail is served in its own time, or waits.
        await slow.taken(2, 4 * SLOW_S)
        await _kept(closed_gateway, slow, 2 * EACH)


async def _kept(gateway: Gateway, slow: Sink, messages: int) -> None:
    """Wait until the queues' lengths, which the broker counts every few seconds, account for all messages."""
    async with asyncio.timeout(60):
        while slow.messages + sum(await _waiting(gateway)) != messages:
            await asyncio.sleep(0.5)


async def _waiting(gateway: Gateway) -> list[int]:
    lengths = await asyncio.to_thread(gateway.queue_lengths)
    return [count for name, count in lengths.items() if name.startswith("gatepost.delivery")]
