"""Rules of the way to the collector: in the background, bounded, and nobody waits for it or hears of it all the time."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from infra.local.ports import free_ports
from shared import tracing
from shared.build import VERSION
from shared.ids import new_id
from shared.settings import TracingSettings
from shared.tracing.export import QUEUE_LIMIT, Exporter
from shared.tracing.identity import span_of, trace_of
from shared.tracing.spans import collect
from tests.certificates import signed, written
from tests.collector import Collector
from tests.nexthop import certified_context


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as running:
        yield running


@pytest.fixture(autouse=True)
async def _off_afterwards() -> AsyncIterator[None]:
    yield
    await tracing.stop()


def trace(message_id: str) -> None:
    with tracing.mail("edge", message_id) as work, tracing.span("part"):
        work.note(size_bytes=3, direction="inbound", domains=("a.test", "b.test"), logged_in=True)
    with tracing.mail("delivery", message_id, visit=1, goes_on=True), tracing.span("attempt", tracing.Kind.CLIENT):
        pass


async def test_spans_come_to_the_collector_as_they_were(collector: Collector) -> None:
    tracing.start("edge", TracingSettings(endpoint=collector.endpoint))
    message_id = new_id()
    trace(message_id)
    got = {span.name: span for span in await collector.until(lambda spans: len(spans) == 4)}
    assert {span.trace_id for span in got.values()} == {trace_of(message_id)}
    edge, part, delivery = got["edge"], got["part"], got["delivery"]
    assert (edge.parent, part.parent, delivery.parent) == (None, edge.span_id, edge.span_id)
    assert (edge.kind, part.kind, delivery.kind, got["attempt"].kind) == ("server", "internal", "consumer", "client")
    assert edge.facts == {
        "id": message_id,
        "size_bytes": 3,
        "direction": "inbound",
        "domains": ["a.test", "b.test"],
        "logged_in": True,
    }
    assert delivery.links == [(trace_of(message_id), span_of(message_id, "delivery", 0))]
    assert edge.began_ns <= part.began_ns <= part.ended_ns <= edge.ended_ns
    assert edge.resource["service.name"] == "gatepost-edge"
    assert edge.resource["service.version"] == VERSION
    assert edge.resource["service.instance.id"]


async def test_what_was_traced_last_comes_at_the_stop_too(collector: Collector) -> None:
    tracing.start("content", TracingSettings(endpoint=collector.endpoint))
    for _ in range(250):
        trace(new_id())
    await tracing.stop()
    assert len(collector.spans) == 1000


async def test_after_the_stop_nothing_is_traced(collector: Collector) -> None:
    tracing.start("content", TracingSettings(endpoint=collector.endpoint))
    await tracing.stop()
    trace(new_id())
    assert not tracing.mail("edge", new_id()).is_traced
    assert collector.spans == []


async def test_only_the_wanted_part_is_sent(collector: Collector) -> None:
    tracing.start("edge", TracingSettings(endpoint=collector.endpoint, ratio=0.5))
    for _ in range(400):
        trace(new_id())
    await tracing.stop()
    mails = {span.trace_id for span in collector.spans}
    assert 120 < len(mails) < 280
    assert len(collector.spans) == 4 * len(mails)


async def test_a_collector_with_tls_is_verified(tmp_path: Path) -> None:
    authority = signed("an authority", authority=True)
    ca_file = written(tmp_path / "ca.pem", authority)
    context = certified_context(written(tmp_path / "collector.pem", signed("a collector", "localhost", by=authority)))
    async with Collector(context) as collector:
        tracing.start("edge", TracingSettings(endpoint=collector.endpoint, ca_file=ca_file))
        trace(new_id())
        await tracing.stop()
        assert len(collector.spans) == 4
        tracing.start("edge", TracingSettings(endpoint=collector.endpoint))
        trace(new_id())
        await tracing.stop()
        assert len(collector.spans) == 4


async def test_an_absent_collector_costs_the_stage_no_time_and_the_log_a_line_or_two() -> None:
    (port,) = free_ports(1)
    with capture_logs() as said:
        tracing.start("edge", TracingSettings(endpoint=f"http://127.0.0.1:{port}"))
        began = time.perf_counter()
        for _ in range(3 * QUEUE_LIMIT):
            trace(new_id())
        took_s = time.perf_counter() - began
        began = time.perf_counter()
        await tracing.stop()
        stopped_s = time.perf_counter() - began
    # A visit costs some 20 µs; a connection that is refused, with the tries after it, five seconds.
    assert took_s < 2.0
    assert stopped_s < 4.0
    assert {record["event"] for record in said} == {"traces-lost"}
    assert len(said) <= 2
    assert sum(record["visits"] for record in said) == 6 * QUEUE_LIMIT


async def test_a_collector_that_fails_is_named_once_and_so_is_its_return(collector: Collector) -> None:
    collector.status = 400
    exporter = Exporter("edge", TracingSettings(endpoint=collector.endpoint), pause_s=0.01)
    collect(exporter, 1.0)
    with capture_logs() as said:
        for failed in range(3):
            trace(new_id())
            async with asyncio.timeout(10):
                while collector.requests <= failed:
                    await asyncio.sleep(0.01)
        collector.status = 200
        trace(new_id())
        await collector.until(lambda spans: len(spans) >= 2)
        await asyncio.to_thread(exporter.close, 2.0)
    lost, again = said
    assert (lost["event"], again["event"]) == ("traces-lost", "traces-sent-again")
    assert "400" in lost["cause"]
    assert lost["visits"] + again["lost"] >= 6


async def test_the_queue_is_bounded() -> None:
    (port,) = free_ports(1)
    exporter = Exporter("edge", TracingSettings(endpoint=f"http://127.0.0.1:{port}"), pause_s=60.0)
    for _ in range(QUEUE_LIMIT + 50):
        exporter.put([])
    assert len(exporter._waiting) <= QUEUE_LIMIT
    await asyncio.to_thread(exporter.close, 1.0)


async def test_a_stop_leaves_no_thread_behind(collector: Collector) -> None:
    before = threading.active_count()
    tracing.start("edge", TracingSettings(endpoint=collector.endpoint))
    trace(new_id())
    await tracing.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "traces"]
    # The thread in which the stop was waited for is asyncio's, and stays.
    assert threading.active_count() <= before + 1
