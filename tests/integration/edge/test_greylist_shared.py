"""Greylisting of several edges on one real Redis, and what becomes of it when Redis goes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import structlog.testing

from services.edge.greylist import ASIDE, Greylist
from services.edge.session import Session
from shared.accounts import Account
from shared.dns.resolver import CachingResolver
from shared.policy import Listener, Purpose, parse_policy
from shared.state.open import OwnedState, open_state
from shared.verdict import Action
from tests.redis import RedisServer

ZONE = """
$ORIGIN test.
@ SOA ns.test. hostmaster.test. 1 3600 600 86400 300
codes TXT "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all"
"""
POLICY = parse_policy(
    """
[greylist]
enabled = true
wait_s = 60
allow_after = 2
[domains."ours.test"]
route = "mx"
recipients = "any"
"""
)
SENDER, BOB = "x@away.test", "bob@ours.test"


class Edge:
    """The greylisting of one edge process; its clock can be put forward."""

    def __init__(self, state: OwnedState, zone: Path) -> None:
        self.ahead_s = 0.0
        self.greylist = Greylist(
            state=state,
            resolver=CachingResolver([], [zone]),
            hostname="gate.test",
            clock=lambda: time.time() + self.ahead_s,
        )

    async def asks(self, address: str = "192.0.2.1", sender: str = SENDER, recipient: str = BOB) -> bool:
        """Whether a client is asked to come again."""
        return await self.greylist.judge(client(address), sender, recipient, POLICY) is not None

    async def answered(self, verdict: Action, address: str = "192.0.2.1", sender: str = SENDER) -> None:
        self.greylist.learn(client(address), sender, [BOB], verdict, POLICY)
        await self.greylist.close(10)

    async def asks_again(self) -> None:
        """Wait until the state is back."""
        async with asyncio.timeout(20):
            while not await self.asks("203.0.113.99", "waiting@away.test"):  # Redis sends no event
                await asyncio.sleep(0.02)


def client(address: str) -> Session:
    return Session("mx", Listener(purpose=Purpose.INBOUND), address, 1, host_name="mail.away.test")


@contextlib.asynccontextmanager
async def two_edges(redis: RedisServer, folder: Path) -> AsyncIterator[tuple[Edge, Edge]]:
    """Run two edges on one Redis."""
    zone = folder / "test.zone"
    zone.write_text(ZONE)
    states = [open_state(redis.settings), open_state(redis.settings)]
    for state in states:
        await state.start()
    try:
        yield Edge(states[0], zone), Edge(states[1], zone)
    finally:
        for state in states:
            await state.close()


async def test_what_one_edge_saw_counts_on_the_other(redis_server: RedisServer, tmp_path: Path) -> None:
    async with two_edges(redis_server, tmp_path) as (one, other):
        assert await one.asks()
        assert await other.asks()
        other.ahead_s = 61
        assert not await other.asks()
        assert not await one.asks(), "it passed on the other one"


async def test_what_one_edge_learned_counts_on_the_other(redis_server: RedisServer, tmp_path: Path) -> None:
    async with two_edges(redis_server, tmp_path) as (one, other):
        await one.answered(Action.ACCEPT, "192.0.2.1", "a@codes.test")
        assert not await other.asks("198.51.100.1", "b@codes.test"), "a clean sender"
        await other.answered(Action.ACCEPT, "192.0.2.9")
        assert not await one.asks("192.0.2.77"), "a network that sent two clean messages, one to each"
        await other.answered(Action.REFUSE, "192.0.2.1", "a@codes.test")
        assert await one.asks("198.51.100.1", "b@codes.test")
        assert await one.asks("192.0.2.77")

        alice = client("10.0.0.9")
        alice.account = Account("alice", "")
        one.greylist.learn(alice, "alice@ours.test", ["jo@away.test"], None, POLICY)
        await one.greylist.close(10)
        assert not await other.asks("203.0.113.1", "jo@away.test"), "a correspondent"


async def test_first_tries_at_both_edges_at_once_are_one(redis_server: RedisServer, tmp_path: Path) -> None:
    async with two_edges(redis_server, tmp_path) as (one, other):
        assert all(await asyncio.gather(*[edge.asks() for edge in (one, other) * 10]))
        assert len(redis_server.run("keys", "*greylist:try:*").split()) == 1
        one.ahead_s = other.ahead_s = 61
        assert not any(await asyncio.gather(*[edge.asks() for edge in (one, other) * 10]))


async def test_when_redis_is_killed_mail_flows_and_it_is_said(redis_server: RedisServer, tmp_path: Path) -> None:
    async with two_edges(redis_server, tmp_path) as (one, _):
        assert await one.asks()
        redis_server.kill()
        counted = ASIDE._value.get()
        with structlog.testing.capture_logs() as lines:
            assert not await one.asks()
            assert not await one.asks("203.0.113.1")
            await one.answered(Action.ACCEPT)
            redis_server.start()
            await one.asks_again()
        ours = [line["event"] for line in lines if str(line["event"]).startswith("greylisting-")]
        assert ours == ["greylisting-stands-aside", "greylisting-goes-on"]
        assert ASIDE._value.get() >= counted + 2
        assert await one.asks(), "the new one is empty: it begins anew"


async def test_when_redis_hangs_a_client_waits_a_moment_at_most(redis_server: RedisServer, tmp_path: Path) -> None:
    async with two_edges(redis_server, tmp_path) as (one, _):
        redis_server.freeze()
        try:
            async with asyncio.timeout(5):
                assert not any(await asyncio.gather(*[one.asks(f"192.0.2.{number}") for number in range(100)]))
        finally:
            redis_server.thaw()
        await one.asks_again()


async def test_when_redis_is_flushed_it_begins_anew(redis_server: RedisServer, tmp_path: Path) -> None:
    async with two_edges(redis_server, tmp_path) as (one, other):
        for edge in (one, other):
            await edge.answered(Action.ACCEPT, sender="a@codes.test")
        assert not await one.asks("192.0.2.1", "new@away.test")
        assert not await one.asks("198.51.100.1", "b@codes.test")
        redis_server.run("flushall")
        assert await one.asks("192.0.2.1", "new@away.test")
        assert await one.asks("198.51.100.1", "b@codes.test")
        one.ahead_s = 61
        assert not await one.asks("192.0.2.1", "new@away.test")
        for _ in range(2):
            await one.answered(Action.ACCEPT, "192.0.2.1", "a@codes.test")
        assert not await other.asks("192.0.2.1", "newer@away.test")


async def test_all_that_is_remembered_has_an_end(redis_server: RedisServer, tmp_path: Path) -> None:
    async with two_edges(redis_server, tmp_path) as (one, _):
        await one.asks()
        await one.answered(Action.ACCEPT, sender="a@codes.test")
        one.ahead_s = 61
        await one.asks()
        keys = redis_server.run("keys", "*greylist:*").split()
        assert len(keys) == 3
        assert all(0 < int(redis_server.run("ttl", key)) <= POLICY.greylist.remember_s for key in keys)
