"""Whoever cost most of late comes last, and among equals whoever came first is first."""

import asyncio
import time

import pytest

from services.content.isolation.waiting import Costs, Job, Line
from shared.policy.content import InspectionRules

RULES = InspectionRules()


def job(source: str, arrived: float) -> Job:
    return Job(b"", RULES, source, arrived)


async def test_among_equals_the_first_is_first() -> None:
    line = Line(Costs())
    first, second = job("a", 1.0), job("b", 2.0)
    line.put(second)
    line.put(first)
    assert [await line.take(), await line.take()] == [first, second]


async def test_whoever_cost_much_waits_behind_all_others() -> None:
    costs = Costs()
    costs.add("hostile", 5.0, time.monotonic())
    line = Line(costs)
    floods = [job("hostile", float(number)) for number in range(20)]
    for one in floods:
        line.put(one)
    honest = job("honest", 99.0)
    line.put(honest)
    assert await line.take() is honest
    assert await line.take() is floods[0]


async def test_a_job_that_nobody_waits_for_is_passed_over() -> None:
    line = Line(Costs())
    gone, there = job("a", 1.0), job("a", 2.0)
    gone.done.cancel()
    line.put(gone)
    line.put(there)
    assert await line.take() is there


async def test_a_taker_waits_for_a_job() -> None:
    line = Line(Costs())
    taker = asyncio.create_task(line.take())
    await asyncio.sleep(0)
    assert not taker.done()
    one = job("a", 1.0)
    line.put(one)
    assert await taker is one


async def test_all_that_wait_are_told_when_nothing_will_come_of_it() -> None:
    line = Line(Costs())
    one = job("a", 1.0)
    line.put(one)
    line.fail(RuntimeError("gone"))
    with pytest.raises(RuntimeError, match="gone"):
        await one.done


def test_costs_are_halved_each_minute() -> None:
    costs = Costs()
    costs.add("a", 8.0, 0.0)
    assert costs.of("a", 60.0) == pytest.approx(4.0)
    costs.add("a", 1.0, 120.0)
    assert costs.of("a", 120.0) == pytest.approx(3.0)
    assert costs.of("b", 0.0) == 0.0


def test_costs_of_ever_new_sources_do_not_grow_for_ever() -> None:
    costs = Costs()
    for number in range(10_050):
        costs.add(str(number), 1.0, 0.0)
    assert costs.of("0", 0.0) == 0.0
    assert costs.of("10049", 0.0) == 1.0
