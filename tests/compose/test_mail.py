"""Mail through scaled containers: each replica takes part, and none that is killed takes a message with it."""

import asyncio
import re

import pytest

from tests.compose.containers import STAGES, Containers
from tests.compose.load import Load

pytestmark = [pytest.mark.compose, pytest.mark.slow, pytest.mark.timeout(600)]

# What each stage counts once for a message, in all its label sets together.
COUNTERS = {
    "edge": "gatepost_edge_answers_total",
    "content": "gatepost_content_verdicts_total",
    "delivery": "gatepost_delivery_recipients_total",
}


def count(gateway: Containers, container: str, stage: str) -> float:
    samples = re.findall(rf"(?m)^{COUNTERS[stage]}(?:\{{[^}}]*\}})? (\S+)$", gateway.metrics(container, stage))
    return sum(map(float, samples))


def wait_delivered(gateway: Containers, accepted: set[str]) -> dict[str, int]:
    gateway.wait(lambda: accepted <= gateway.delivered().keys(), "all accepted mail to arrive", 180)
    return gateway.delivered()


async def test_mail_goes_through_every_replica(gateway: Containers) -> None:
    gateway.wait_healthy("haproxy", *STAGES)
    load = Load(gateway.ports.mx)
    running = asyncio.create_task(load.run())
    await load.wait_accepted(200)
    load.stop()
    await running
    assert load.lost == []
    delivered = wait_delivered(gateway, load.accepted)
    assert all(delivered[message_id] == 1 for message_id in load.accepted)
    for stage in STAGES:
        assert all(count(gateway, container, stage) > 0 for container in gateway.of(stage)), stage


@pytest.mark.parametrize("stage", STAGES)
async def test_a_killed_replica_loses_nothing(gateway: Containers, stage: str) -> None:
    gateway.wait_healthy("haproxy", *STAGES)
    load = Load(gateway.ports.mx)
    running = asyncio.create_task(load.run())
    await load.wait_accepted(50)
    victim = gateway.of(stage)[0]
    await asyncio.to_thread(gateway.engine, "kill", "--signal", "KILL", victim)
    await load.wait_accepted(100)
    await asyncio.to_thread(gateway.engine, "start", victim)
    await load.wait_accepted(50)
    load.stop()
    await running
    delivered = await asyncio.to_thread(wait_delivered, gateway, load.accepted)
    again = {message_id: times for message_id, times in delivered.items() if times > 1}
    # At least once: a kill may repeat what was open at that moment, and no more than one per connection or prefetch.
    assert len(again) <= load.clients + 20, f"{len(again)} messages came twice"
    gateway.wait_healthy("haproxy", *STAGES)
