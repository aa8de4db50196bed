"""Two edge processes on one Redis: they count as one, learn from one another, and do without it when it is away."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.edge.gate import Client
from tests.integration.edge.test_process import Process, process
from tests.rabbit import Rabbit
from tests.redis import RedisServer

RULES = """
[limits]
exempt_networks = []
connections_per_address = 1000
connection_rate = "40/h"
message_rate = "25/h"
[bans]
never = []
threshold = 4
[greylist]
enabled = true
wait_s = 1
"""
MX = '[listeners.mx]\npurpose = "inbound"\ngreet_wait_s = 0\nproxy_from = ["127.0.0.0/8"]\n'


@pytest.fixture
async def edges(
    rabbit: Rabbit, certificate: Path, tmp_path: Path, redis_server: RedisServer
) -> AsyncIterator[tuple[Process, Process]]:
    async with contextlib.AsyncExitStack() as both:
        started = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            started.append(
                await both.enter_async_context(
                    process(rabbit, certificate, folder, RULES, listener=MX, redis=redis_server)
                )
            )
        yield started[0], started[1]


@contextlib.asynccontextmanager
async def client_at(edge: Process, address: str) -> AsyncIterator[Client]:
    async with edge.client() as client:
        await client.send(f"PROXY TCP4 {address} 192.0.2.1 40000 25\r\n")
        yield client


async def test_one_limit_is_enforced_exactly(edges: tuple[Process, Process]) -> None:
    async def greeting(number: int) -> str:
        async with client_at(edges[number % 2], "203.0.113.9") as client:
            return (await client.reply())[:3]

    codes = Counter(await asyncio.gather(*(greeting(number) for number in range(100))))
    assert codes == {"220": 40, "421": 60}


async def test_what_one_edge_has_greylisted_passes_the_other(edges: tuple[Process, Process]) -> None:
    one, two = edges
    assert (await recipient(one, "203.0.113.9")).startswith("450 4.7.1")
    await asyncio.sleep(1.1)
    assert (await recipient(two, "203.0.113.77")).startswith("250")


async def test_a_ban_by_one_edge_keeps_out_at_the_other(edges: tuple[Process, Process]) -> None:
    one, two = edges
    for _ in range(2):
        assert (await recipient(one, "198.51.100.7", "nobody@ours.test")).startswith("550")
    async with asyncio.timeout(10):
        while not (await first_words(two, "198.51.100.7")).startswith("554 5.7.1 Banned"):
            await asyncio.sleep(0.1)


async def test_without_redis_mail_flows_and_it_is_said(
    edges: tuple[Process, Process], redis_server: RedisServer
) -> None:
    one, _ = edges
    assert await redis_is_up(one)
    redis_server.kill()
    assert (await recipient(one, "203.0.113.9")).startswith("250")
    assert not await redis_is_up(one)
    assert "shared-state-lost" in one.log()
    assert "greylisting-stands-aside" in one.log()
    redis_server.start()
    async with asyncio.timeout(10):
        while not await redis_is_up(one):
            await recipient(one, "203.0.113.9")
            await asyncio.sleep(0.2)
    assert "shared-state-back" in one.log()
    assert (await recipient(one, "198.51.100.77")).startswith("450 4.7.1")


async def test_a_redis_that_was_flushed_begins_anew(edges: tuple[Process, Process], redis_server: RedisServer) -> None:
    one, two = edges
    async with client_at(one, "203.0.113.9") as held:
        assert (await held.reply()).startswith("220")
        redis_server.run("flushall")
        assert (await recipient(two, "203.0.113.9")).startswith("450 4.7.1")
        assert (await held.say("EHLO client.test")).startswith("250")
    await asyncio.sleep(1.1)
    assert (await recipient(one, "203.0.113.9")).startswith("250")


async def redis_is_up(edge: Process) -> bool:
    (value,) = re.findall(r"^gatepost_shared_state_up{.*} (.*)$", await edge.get("/metrics"), re.MULTILINE)
    return float(value) == 1


async def first_words(edge: Process, address: str) -> str:
    async with client_at(edge, address) as client:
        return await client.reply()


async def recipient(edge: Process, address: str, to: str = "bob@ours.test") -> str:
    async with client_at(edge, address) as client:
        return await client.asks_for(to)
