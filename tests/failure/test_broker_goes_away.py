"""RabbitMQ killed, stopped, short of memory, or closing connections, while mail flows."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from tests.failure.account import close_books
from tests.gateway import SERVICES, Gateway
from tests.load.client import Load, Result
from tests.load.mail import Kind
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BACK_WITHIN_S = 30.0


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_without_rabbitmq_mail_waits_and_consumers_come_back_by_themselves(
    how: str, gateway: Gateway, load: Load, sink: Sink
) -> None:
    pids = {service: gateway.pids(service) for service in SERVICES}
    async with load.running():
        await load.more(200)
        async with _broker_gone(gateway, how):
            gone_at = time.time()
            before = load.count(Result.DEFERRED) + sum(load.refused_sessions.values())
            # 421 to new sessions, 451 within open ones.
            await load.until(lambda: load.count(Result.DEFERRED) + sum(load.refused_sessions.values()) > before + 30)
            back_at = time.time()
        back_s = await gateway.ready(BACK_WITHIN_S)
        await load.more(200)
    assert [o for o in load.with_result(Result.ACCEPTED) if gone_at < o.began and o.began + o.took_s < back_at] == []
    assert {service: gateway.pids(service) for service in SERVICES} == pids
    print(f"\n    consumers back after {back_s:.1f} s; sessions refused: {dict(load.refused_sessions)}")
    assert not [reply for reply in load.refused_sessions if reply.startswith("5")]
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    # A delivery whose acknowledgement the broker did not live to read may come again, from each open transaction.
    assert books.duplicates <= gateway.content_holds + sink.most_open


@pytest.mark.parametrize("service", ["content", "edge", "delivery"])
async def test_connections_closed_by_the_broker_cost_no_mail(
    service: str, gateway: Gateway, load: Load, sink: Sink
) -> None:
    closures = 4
    async with load.running():
        for _ in range(closures):
            await load.more(60)
            await asyncio.to_thread(gateway.rabbit.close_connections, service)
        await load.more(60)
    await gateway.ready()
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    assert books.duplicates <= closures * (gateway.content_holds + sink.most_open)


async def test_a_channel_lost_between_verdict_and_ack_gives_neither_loss_nor_delivery_after_a_5xx(
    gateway: Gateway, load: Load, sink: Sink
) -> None:
    load.kinds, load.per_connection = (Kind.SIGNED, Kind.MALWARE), 1
    load.gate.clear()
    sending = asyncio.create_task(load.run(load.sessions))
    await load.until(lambda: load.at_gate == load.sessions)
    with gateway.paused("content"):
        load.gate.set()
        await gateway.reaches("edge", "gatepost_edge_waiting", load.sessions)
        edge_held = contextlib.ExitStack()
        edge_held.enter_context(gateway.paused("edge"))
    with edge_held:
        # Content has told its verdicts to an edge that does not hear yet, and holds the messages unacknowledged.
        await gateway.reaches("content", "gatepost_content_verdicts_total", load.sessions)
        await asyncio.to_thread(gateway.rabbit.close_connections, "content")
    await sending
    assert load.count(Result.ACCEPTED) == load.count(Result.REFUSED) == load.sessions / 2, load.summary()
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    assert books.duplicates == 0
    assert await gateway.metric("content", "gatepost_content_dropped_total") >= load.count(Result.REFUSED)


async def test_what_timed_out_under_a_memory_alarm_is_not_delivered_afterwards(
    gateway: Gateway, load: Load, sink: Sink
) -> None:
    async with load.running():
        for _ in range(2):
            await load.more(150)
            load.gate.clear()
            await load.until(lambda: load.at_gate == load.sessions)
            async with _memory_alarm(gateway):
                load.gate.set()
                await _another_timed_out(load)
            await gateway.ready()
            await load.more(50)
    books = await close_books(load, sink, gateway)
    dropped = await gateway.metric("content", "gatepost_content_dropped_total")
    print(f"\n    {_not_stored(load)} publishes timed out, content dropped {dropped:.0f}")
    # Beside what was refused by its verdict, whose answer edge remembers in the same way.
    assert dropped > load.count(Result.REFUSED)
    books.assert_kept()
    # Content's and delivery's own publishes wait, too; each open one may be repeated.
    assert books.duplicates <= 2 * gateway.content_holds


@contextlib.asynccontextmanager
async def _broker_gone(gateway: Gateway, how: str) -> AsyncIterator[None]:
    await asyncio.to_thread(gateway.rabbit.kill if how == "kill" else gateway.rabbit.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(gateway.rabbit.start)


def _not_stored(load: Load) -> int:
    """Return how many publishes got no confirm in time."""
    return sum(outcome.reply.startswith("451 4.3.0") for outcome in load.with_result(Result.DEFERRED))


async def _another_timed_out(load: Load) -> None:
    before = _not_stored(load)
    await load.until(lambda: _not_stored(load) > before)


@contextlib.asynccontextmanager
async def _memory_alarm(gateway: Gateway) -> AsyncIterator[None]:
    alarm = gateway.rabbit.memory_alarm()
    await asyncio.to_thread(alarm.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(alarm.__exit__, None, None, None)
