"""Two delivery processes that share a Redis hold a hop's bounds together."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.delivery.client.session import Session
from services.delivery.client.wire import Wire
from services.delivery.gate import Busy
from services.delivery.hops import Hops, HopState
from shared.policy import DeliveryRules
from shared.state.fallback import FallbackState
from tests.nexthop import NextHop
from tests.redis import RedisServer


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[list[Hops]]:
    """Two processes' hops, each with its own connection to one Redis."""
    server = RedisServer(tmp_path)
    server.start()
    states = [FallbackState(server.settings) for _ in range(2)]
    for state in states:
        await state.start()
    yield [Hops(asyncio.get_running_loop().time, 50, state) for state in states]
    for state in states:
        await state.close()
    server.stop()


async def _open(state: HopState, limit: int, hop: NextHop) -> Session:
    async def make() -> Session:
        loop = asyncio.get_running_loop()
        wire = Wire(loop)
        await loop.create_connection(lambda: wire, "127.0.0.1", hop.port)
        await wire.replies(1, loop.time() + 10)
        return _session(wire)

    return await state.pool.open(limit, make)


def _session(wire: Wire) -> Session:
    session = object.__new__(Session)
    session.wire = wire
    session.transactions = 0
    return session


async def test_a_connection_limit_holds_over_processes_and_kept_sessions_count(processes: list[Hops]) -> None:
    rules = DeliveryRules(connections_per_hop=3)
    one, other = (hops.state_of("hop") for hops in processes)
    async with NextHop() as hop:
        sessions = [await _open(one, 3, hop), await _open(other, 3, hop), await _open(one, 3, hop)]
        for state in (one, other):
            with pytest.raises(Busy, match="free connection"):
                await _open(state, 3, hop)
        # One that is kept is open still: nobody else has its seat, but mail on other terms may have it closed.
        one.pool.give_back(sessions[0], rules, "these terms")
        with pytest.raises(Busy):
            await _open(other, 3, hop)
        assert one.pool.take("other terms") is None
        replaced = await _open(one, 3, hop)
        assert sessions[0].wire.is_ended
        assert hop.connections == 4
        # One that ends, however it does, gives its seat to any process.
        sessions[2].wire.abort("the test says so")
        await _retried(other, hop)
        replaced.wire.abort("the test says so")
        await _retried(other, hop)
        assert other.seats.taken == 3
        assert one.seats.taken == 0


async def _retried(state: HopState, hop: NextHop) -> Session:
    """Open a session once the seat is free: the state is told of it by another connection."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await _open(state, 3, hop)
            except Busy:
                await asyncio.sleep(0.01)


async def test_a_session_that_cannot_be_made_gives_its_seat_back(processes: list[Hops]) -> None:
    async def fail() -> Session:
        raise OSError("refused")

    state = processes[0].state_of("hop")
    for _ in range(5):
        with pytest.raises(OSError, match="refused"):
            await state.pool.open(1, fail)
        assert state.seats.taken == 0
        await asyncio.gather(*state.seats._giving_back)


async def test_a_rate_holds_over_processes(processes: list[Hops]) -> None:
    rules = DeliveryRules.model_validate({"rate": "10/h", "connections_per_hop": 20})
    for hops in processes * 5:
        state = await hops.enter("hop", rules)
        state.gate.leave(0.01)
    for hops in processes:
        with pytest.raises(Busy, match="no more than 10/h"):
            await hops.enter("hop", rules)
