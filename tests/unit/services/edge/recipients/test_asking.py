"""Asking no more than needed: once per recipient at a time, never too many, and again in the background when stale."""

import asyncio

import pytest

from services.edge.decide.recipient import Known
from services.edge.recipients.asking import Asking
from services.edge.recipients.memory import Kept
from tests.unit.services.edge.recipients.clock import Clock

KEPT = Kept(yes_s=100, fresh_s=10, no_s=5, unsure_s=1)


class Oracle:
    """Answers when it is let go. answer: what it says, or raises."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Known | Exception = Known.YES
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, recipient: str) -> Known:
        self.asked.append(recipient)
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asking(oracle: Oracle, clock: Clock) -> Asking:
    return Asking("route", oracle, KEPT, at_once=2, clock=clock)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_was_answered_is_not_asked_again(asking: Asking, oracle: Oracle) -> None:
    assert asking.recall("a@x") is None
    assert await asking.knows("a@x") is Known.YES
    assert asking.recall("a@x") is Known.YES
    assert oracle.asked == ["a@x"]


async def test_many_who_wait_for_one_recipient_ask_once(asking: Asking, oracle: Oracle) -> None:
    oracle.gate.clear()
    waiting = [asyncio.create_task(asking.knows("a@x")) for _ in range(10)]
    await _settle()
    oracle.gate.set()
    assert await asyncio.gather(*waiting) == [Known.YES] * 10
    assert oracle.asked == ["a@x"]


async def test_one_who_goes_away_takes_the_answer_from_nobody(asking: Asking, oracle: Oracle) -> None:
    oracle.gate.clear()
    first, second = (asyncio.create_task(asking.knows("a@x")) for _ in range(2))
    await _settle()
    first.cancel()
    await _settle()
    oracle.gate.set()
    assert await second is Known.YES


async def test_beyond_the_bound_nobody_is_asked_and_nothing_is_remembered(asking: Asking, oracle: Oracle) -> None:
    oracle.gate.clear()
    waiting = [asyncio.create_task(asking.knows(f"{name}@x")) for name in "ab"]
    await _settle()
    assert await asking.knows("c@x") is Known.UNSURE
    assert asking.recall("c@x") is None
    oracle.gate.set()
    await asyncio.gather(*waiting)
    assert await asking.knows("c@x") is Known.YES


async def test_a_stale_recipient_serves_and_is_asked_for_once_meanwhile(
    asking: Asking, oracle: Oracle, clock: Clock
) -> None:
    await asking.knows("a@x")
    clock.now += 10
    oracle.answer = Known.NO
    oracle.gate.clear()
    assert [asking.recall("a@x") for _ in range(3)] == [Known.YES] * 3
    await _settle()
    assert oracle.asked == ["a@x"] * 2
    oracle.gate.set()
    await _settle()
    assert asking.recall("a@x") is Known.NO


async def test_a_known_recipient_serves_while_the_asker_fails(asking: Asking, oracle: Oracle, clock: Clock) -> None:
    await asking.knows("a@x")
    oracle.answer = OSError("gone")
    clock.now += 50
    assert asking.recall("a@x") is Known.YES
    await _settle()
    assert asking.recall("a@x") is Known.YES
    clock.now += 50
    assert asking.recall("a@x") is None


async def test_an_asker_that_fails_makes_unsure_for_a_moment(asking: Asking, oracle: Oracle, clock: Clock) -> None:
    oracle.answer = OSError("gone")
    assert await asking.knows("a@x") is Known.UNSURE
    assert asking.recall("a@x") is Known.UNSURE
    clock.now += 1
    assert asking.recall("a@x") is None
    oracle.answer = Known.NO
    assert await asking.knows("a@x") is Known.NO


async def test_closing_tells_who_waits_that_nothing_is_known(asking: Asking, oracle: Oracle) -> None:
    oracle.gate.clear()
    waiting = asyncio.create_task(asking.knows("a@x"))
    await _settle()
    await asking.close()
    assert await waiting is Known.UNSURE
