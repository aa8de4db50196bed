"""Rules of a gate with its own way to the policy and the bans, on a real broker and a real Redis."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from shared.bans import Ban, ban_key, encode_ban
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key
from shared.gate import Gate
from shared.lone_gate import LoneGate
from shared.policy.access import Service
from shared.policy_entry import PolicyEntry, encode_policy
from shared.settings import HealthSettings, ServiceSettings
from shared.state.redis import RedisState
from tests.rabbit import Rabbit
from tests.redis import RedisServer

CLIENT = "192.0.2.7"


@pytest.fixture
async def gate(rabbit: Rabbit, redis_server: RedisServer) -> AsyncIterator[Gate]:
    """The gate of a content host's parent process."""
    settings = ServiceSettings(
        hostname="gate.test",
        broker=rabbit.settings("content"),
        health=HealthSettings(port=0),
        redis=redis_server.settings,
    )
    lone = LoneGate("content", settings)
    await lone.start()
    yield lone.gate
    await lone.close()


async def publish(rabbit: Rabbit, version: int, text: str) -> None:
    link = Link(rabbit.settings("console"), "test-policy")
    publisher = Publisher(link)
    link.start()
    try:
        entry = PolicyEntry(version, "test", "test", time.time(), text)
        await publisher.publish(Exchange.POLICY.value, Key.POLICY.value, encode_policy(entry))
    finally:
        await link.close()


async def until(gate: Gate, *, admitted: bool) -> None:
    async with asyncio.timeout(20):
        while await gate.admits(CLIENT, Service.METRICS) is not admitted:
            await asyncio.sleep(0.05)


async def test_it_follows_the_policy_in_force(gate: Gate, rabbit: Rabbit) -> None:
    assert await gate.admits(CLIENT, Service.METRICS)
    await publish(rabbit, 1, "[[access]]\naction = 'deny'\nnetworks = ['192.0.2.0/24']\n")
    await until(gate, admitted=False)
    assert await gate.admits("198.51.100.1", Service.METRICS)
    await publish(rabbit, 2, "")
    await until(gate, admitted=True)


async def test_it_heeds_bans_in_redis(gate: Gate, rabbit: Rabbit, redis_server: RedisServer) -> None:
    state = RedisState(redis_server.settings)
    await state.start()
    try:
        now = time.time()
        await state.put(ban_key(CLIENT), encode_ban(Ban(now + 600, "bad-line", now, 1)), 600)
    finally:
        await state.close()
    assert await gate.admits(CLIENT, Service.METRICS)
    await publish(rabbit, 1, "")
    await until(gate, admitted=False)
