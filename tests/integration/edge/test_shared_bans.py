"""Bans, counts and throttled logins of two edges that share one Redis, which comes and goes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.edge.bans import Bans
from services.edge.counting import Counting
from services.edge.session import Session
from services.edge.throttle import LoginThrottle
from shared.gate import Gate
from shared.policy import Listener, Purpose, SessionLimits, parse_policy
from shared.policy.access import Service
from shared.state.fallback import FallbackState
from tests.fakes import FakeEvents, FixedPolicy
from tests.redis import RedisServer

CLIENT = "192.0.2.7"
POLICY = parse_policy("""
[bans]
threshold = 10
[[clients]]
name = "all"
count_by = "rule"
recipients_count = "5/h"
""")


class Edge:
    """What an edge has of the shared state."""

    def __init__(self, server: RedisServer) -> None:
        self.state = FallbackState(server.settings)
        self.events = FakeEvents()
        self.bans = Bans(self.state, self.events)
        self.counting = Counting(self.state)
        self.throttle = LoginThrottle(self.state)

    async def until(self, up: bool) -> None:
        async with asyncio.timeout(20):
            while self.state.is_up is not up:
                await self.state.take([])
                await self.throttle.may_try(CLIENT, "anna")
                await asyncio.sleep(0.02)


@pytest.fixture
async def edges(redis_server: RedisServer) -> AsyncIterator[list[Edge]]:
    made = [Edge(redis_server), Edge(redis_server)]
    for edge in made:
        await edge.state.start()
        await edge.until(up=True)
    yield made
    for edge in made:
        await edge.state.close()


async def test_failures_at_two_edges_add_up_and_both_heed_the_ban(edges: list[Edge]) -> None:
    one, other = edges
    assert await other.bans.is_banned(CLIENT, POLICY) is None
    for edge in (one, other, one, other, one):
        await edge.bans.punish(CLIENT, 2, "relay-denied", POLICY)
    assert [len(edge.events.told) for edge in edges] == [1, 0]
    assert await one.bans.is_banned(CLIENT, POLICY) == pytest.approx(900, abs=10)
    async with asyncio.timeout(5):
        while await other.bans.is_banned(CLIENT, POLICY) is None:
            await asyncio.sleep(0.1)
    assert not await Gate(FixedPolicy(POLICY), other.state).admits(CLIENT, Service.METRICS)


async def test_of_many_failures_at_once_one_begins_the_ban(edges: list[Edge]) -> None:
    await asyncio.gather(*(edge.bans.punish(CLIENT, 7, "bad-line", POLICY) for edge in edges * 20))
    assert sum(len(edge.events.told) for edge in edges) == 1
    assert await edges[0].bans.is_banned(CLIENT, POLICY) == pytest.approx(900, abs=10)


async def test_two_edges_hold_one_rate_exactly(edges: list[Edge]) -> None:
    session = Session("mx", Listener(purpose=Purpose.INBOUND), CLIENT, 1)
    session.limits = SessionLimits.model_validate({"message_rate": "7/h"})
    told = await asyncio.gather(*(edge.counting.at_mail(session, "", 0, POLICY) for edge in edges * 10))
    assert [refusal is None for refusal in told].count(True) == 7
    told = await asyncio.gather(*(edge.counting.at_rcpt(session, "", "b@c.test", POLICY) for edge in edges * 10))
    assert [refusal is None for refusal in told].count(True) == 5


async def test_failed_logins_at_two_edges_add_up(edges: list[Edge]) -> None:
    for edge in edges * 5:
        await edge.throttle.failed(CLIENT, "anna")
    assert [await edge.throttle.may_try(CLIENT, "anna") for edge in edges] == [False, False]
    await edges[0].throttle.succeeded(CLIENT, "anna")
    assert await edges[1].throttle.may_try(CLIENT, "anna")


async def test_while_redis_is_away_known_bans_hold_and_nothing_else_stops(
    edges: list[Edge], redis_server: RedisServer
) -> None:
    one, _ = edges
    await one.bans.punish(CLIENT, 10, "bad-line", POLICY)
    redis_server.kill()
    await one.until(up=False)
    assert await one.bans.is_banned(CLIENT, POLICY) == pytest.approx(900, abs=30)
    assert await one.bans.is_banned("192.0.2.8", POLICY) is None
    await one.bans.punish("192.0.2.8", 100, "bad-line", POLICY)
    session = Session("mx", Listener(purpose=Purpose.INBOUND), CLIENT, 1)
    assert await one.counting.at_mail(session, "", 0, POLICY) is None
    assert await one.throttle.may_try(CLIENT, "anna")
    redis_server.start()
    await one.until(up=True)
    await one.bans.punish("192.0.2.8", 100, "bad-line", POLICY)
    assert await one.bans.is_banned("192.0.2.8", POLICY) == pytest.approx(900, abs=10)
