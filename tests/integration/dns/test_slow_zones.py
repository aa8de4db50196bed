"""Nameservers that never answer hold up nobody but those who ask for them, and those not for long. Times are shortened."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from shared.dns.answer import Answer, DnsTemporary
from shared.dns.patience import Patience
from shared.dns.resolver import CachingResolver
from shared.dns.silence import FIRST_REST_S, MAX_WAITS
from tests.dnsserver import DnsServer, Fault

SLOW_S = 0.2
TIMEOUT_S = 4.0


class Clock:
    """The true time, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer({"good.test": {"TXT": "v=spf1 -all"}, "slow.test": {"TXT": "v=spf1 -all"}}) as running:
        running.fail("*.slow.test", "TXT", Fault.TIMEOUT)
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def resolver(server: DnsServer, clock: Clock) -> AsyncIterator[CachingResolver]:
    found = CachingResolver([server.address], timeout_s=TIMEOUT_S, slow_s=SLOW_S, clock=clock)
    yield found
    await found.close()


async def tell(resolver: CachingResolver, name: str) -> tuple[Answer | DnsTemporary, float]:
    """Return the answer or failure, and how long it took."""
    began_s = time.monotonic()
    try:
        found: Answer | DnsTemporary = await resolver.lookup(name, "TXT")
    except DnsTemporary as error:
        found = error
    return found, time.monotonic() - began_s


async def silence(resolver: CachingResolver) -> None:
    """Wait in vain until the zone rests."""
    await asyncio.gather(*(tell(resolver, f"{number}.slow.test") for number in range(MAX_WAITS)))


async def test_many_who_wait_for_one_zone_give_up_soon(resolver: CachingResolver) -> None:
    outcomes = await asyncio.gather(*(tell(resolver, f"{number}.slow.test") for number in range(MAX_WAITS * 5)))
    assert all(isinstance(found, DnsTemporary) for found, _ in outcomes)
    assert max(took_s for _, took_s in outcomes) < TIMEOUT_S / 2


async def test_many_who_wait_for_one_and_the_same_name_give_up_soon(resolver: CachingResolver) -> None:
    outcomes = await asyncio.gather(*(tell(resolver, "one.slow.test") for _ in range(MAX_WAITS)))
    assert max(took_s for _, took_s in outcomes) < TIMEOUT_S / 2


async def test_a_silent_zone_is_not_asked_again_at_once(resolver: CachingResolver, server: DnsServer) -> None:
    await silence(resolver)
    found, took_s = await tell(resolver, "next.slow.test")
    assert isinstance(found, DnsTemporary)
    assert "not asked" in str(found)
    assert took_s < TIMEOUT_S
    assert not server.count("next.slow.test", "TXT")


async def test_other_zones_are_answered_while_one_is_silent(resolver: CachingResolver) -> None:
    waiting = asyncio.gather(*(tell(resolver, f"{number}.slow.test") for number in range(200)))
    found, _ = await tell(resolver, "good.test")
    assert isinstance(found, Answer)
    assert not waiting.done()
    await waiting


async def test_few_who_wait_have_all_the_time_there_is(resolver: CachingResolver, server: DnsServer) -> None:
    waiting = asyncio.create_task(tell(resolver, "www.slow.test"))
    await server.asked("www.slow.test", "TXT", times=2)
    server.heal()
    assert isinstance((await waiting)[0], Answer)


async def test_a_zone_that_answers_again_is_asked_by_all_after_one_has_tried(
    resolver: CachingResolver, server: DnsServer, clock: Clock
) -> None:
    await silence(resolver)
    server.heal()
    assert isinstance((await tell(resolver, "early.slow.test"))[0], DnsTemporary)
    clock.ahead_s += FIRST_REST_S
    assert isinstance((await tell(resolver, "first.slow.test"))[0], Answer)
    for number in range(10):
        assert isinstance((await tell(resolver, f"later{number}.slow.test"))[0], Answer)


async def test_a_late_answer_ends_the_rest_too(resolver: CachingResolver, server: DnsServer) -> None:
    late = asyncio.create_task(tell(resolver, "late.slow.test"))
    await server.asked("late.slow.test", "TXT")
    await silence(resolver)
    assert isinstance((await late)[0], DnsTemporary)
    server.heal()
    # The question that was given up is asked once more by itself, and its answer is for all.
    async with asyncio.timeout(TIMEOUT_S):
        await server.asked("late.slow.test", "TXT", server.count("late.slow.test", "TXT") + 1)
        while resolver.cached("late.slow.test", "TXT") is None:
            await asyncio.sleep(0)
    assert isinstance((await tell(resolver, "other.slow.test"))[0], Answer)


async def test_a_zone_that_fails_at_once_keeps_nobody_waiting_and_never_rests(
    resolver: CachingResolver, server: DnsServer
) -> None:
    server.fail("*.slow.test", "TXT", Fault.SERVFAIL)
    for number in range(3 * MAX_WAITS):
        found, _ = await tell(resolver, f"{number}.slow.test")
        assert "SERVFAIL" in str(found)


async def test_retries_of_many_dead_names_keep_no_place_from_first_questions(server: DnsServer) -> None:
    """Each name is a zone of its own, so that nothing rests."""
    server.fail("*.dead", "TXT", Fault.TIMEOUT)
    patient = CachingResolver([server.address], timeout_s=TIMEOUT_S)
    dead = [asyncio.create_task(tell(patient, f"a.zone{number}.dead")) for number in range(250)]
    # All of them have been asked once, in vain, and are waiting for their retries.
    await server.asked("a.zone0.dead", "TXT", times=2)
    found, took_s = await tell(patient, "good.test")
    assert isinstance(found, Answer)
    assert took_s < 0.5
    await patient.close()
    await asyncio.gather(*dead)


class TestPatience:
    """One message's time, and the places for those who wait long."""

    async def test_a_message_has_its_time_and_no_more(self, resolver: CachingResolver) -> None:
        patience = Patience(resolver, 1, slow_s=0.1, limit_s=0.4)
        began_s = time.monotonic()
        with patience.for_message() as patient:
            for name in ("a.slow.test", "b.slow.test", "c.slow.test"):
                with pytest.raises(DnsTemporary, match=r"0\.4 s"):
                    await patient.lookup(name, "TXT")
        assert 0.3 < time.monotonic() - began_s < 1.5

    async def test_without_a_place_it_waits_only_shortly(self, resolver: CachingResolver) -> None:
        patience = Patience(resolver, 1, slow_s=0.1, limit_s=3)
        with patience.for_message() as one, patience.for_message() as other:
            waiting = asyncio.create_task(one.lookup("a.slow.test", "TXT"))
            began_s = time.monotonic()
            while not one.has_place:
                await asyncio.sleep(0.01)
            with pytest.raises(DnsTemporary, match="too many messages"):
                await other.lookup("b.slow.test", "TXT")
            assert time.monotonic() - began_s < 1
            assert not other.has_place
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def test_a_place_is_given_back(self, resolver: CachingResolver) -> None:
        patience = Patience(resolver, 1, slow_s=0.05, limit_s=0.1)
        for number in range(3):
            with patience.for_message() as patient:
                with pytest.raises(DnsTemporary, match="one message may wait"):
                    await patient.lookup(f"{number}.slow.test", "TXT")
                assert patient.has_place

    async def test_several_lookups_of_one_message_share_its_place(self, resolver: CachingResolver) -> None:
        patience = Patience(resolver, 1, slow_s=0.05, limit_s=0.2)
        with patience.for_message() as patient:
            names = [f"{number}.slow.test" for number in range(4)]
            outcomes = await asyncio.gather(*(patient.lookup(name, "TXT") for name in names), return_exceptions=True)
        assert {str(outcome).partition(": ")[2] for outcome in outcomes} == {
            "no answer in the 0.2 s that one message may wait for DNS"
        }

    async def test_what_is_known_costs_no_time_and_no_place(self, resolver: CachingResolver) -> None:
        await resolver.lookup("good.test", "TXT")
        patience = Patience(resolver, 0, slow_s=0.0, limit_s=0.0)
        with patience.for_message() as patient:
            assert patient.cached("good.test", "TXT") is not None
            assert (await patient.lookup("good.test", "TXT")).texts() == (b"v=spf1 -all",)

    async def test_an_answer_that_comes_too_late_is_there_the_next_time(
        self, resolver: CachingResolver, server: DnsServer
    ) -> None:
        patience = Patience(resolver, 1, slow_s=0.05, limit_s=0.1)
        with patience.for_message() as patient, pytest.raises(DnsTemporary):
            await patient.lookup("www.slow.test", "TXT")
        server.heal()
        answer = await resolver.lookup("www.slow.test", "TXT")
        assert not answer.exists
        with patience.for_message() as patient:
            assert await patient.lookup("www.slow.test", "TXT") is answer
