"""Senders whose nameservers never answer do not hold up the mail of others.

The worker is played by as many places as it holds messages (RabbitMQ's prefetch), taken in order of arrival; DNS, its
resolver and the checks are the real ones. The limits are half the true ones, but for the test that is slow: with
much shorter ones, a machine that is busy for a moment looks like DNS that is slow.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace

import pytest

from services.content.authenticity import Authenticator, Authenticity
from shared.auth.message import split_message
from shared.auth.spf_result import SpfWord
from shared.dns.patience import LIMIT_S, Patience
from shared.dns.patience import SLOW_S as MESSAGE_SLOW_S
from shared.dns.resolver import CachingResolver
from shared.dns.silence import SLOW_S as ZONE_SLOW_S
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.ids import new_id
from tests.dnsserver import DnsServer, Fault

PREFETCH = 20
SLOW_MESSAGES = 200
GOOD_MESSAGES = 20
GOOD = Envelope(
    id=new_id(),
    received_at=0,
    listener="mx",
    direction=Direction.INBOUND,
    client=Client("192.0.2.1", 4000, "mail.good.test"),
    sender="joe@good.test",
    recipients=(Recipient("demo@gatepost.test"),),
    size_bytes=100,
)
TYPES = ("A", "AAAA", "MX", "PTR", "TXT")


@dataclass(frozen=True, slots=True)
class Times:
    """What is shortened. timeout_s: of a look-up."""

    timeout_s: float
    zone_slow_s: float
    message_slow_s: float
    limit_s: float


TRUE = Times(5.0, ZONE_SLOW_S, MESSAGE_SLOW_S, LIMIT_S)
SHORT = Times(2.5, ZONE_SLOW_S / 2, MESSAGE_SLOW_S / 2, LIMIT_S / 2)

Judge = Callable[[Envelope], Coroutine[None, None, Authenticity]]


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    records = {
        "good.test": {"TXT": "v=spf1 ip4:192.0.2.1 -all"},
        "_dmarc.good.test": {"TXT": "v=DMARC1; p=reject"},
        "1.2.0.192.in-addr.arpa": {"PTR": "mail.good.test."},
        "mail.good.test": {"A": "192.0.2.1"},
    }
    async with DnsServer(records) as running:
        for rdtype in TYPES:
            running.fail("*.dead", rdtype, Fault.TIMEOUT)
            running.fail("*.198.in-addr.arpa", rdtype, Fault.TIMEOUT)
        yield running


@pytest.fixture
async def worker(server: DnsServer, request: pytest.FixtureRequest) -> AsyncIterator[Judge]:
    times: Times = request.param
    resolver = CachingResolver([server.address], timeout_s=times.timeout_s, slow_s=times.zone_slow_s)
    patience = Patience(resolver, PREFETCH // 2, slow_s=times.message_slow_s, limit_s=times.limit_s)
    authenticator = Authenticator(patience, "mx.gatepost.test")
    places = asyncio.Semaphore(PREFETCH)

    async def judge(envelope: Envelope) -> Authenticity:
        author = envelope.sender.encode()
        message = split_message(b"From: <%b>\r\nSubject: x\r\n\r\nhello\r\n" % author)
        async with places:
            return await authenticator.authenticate(envelope, message, ())

    yield judge
    await resolver.close()


def slow(sender: int) -> Envelope:
    """Return a message of one of many senders whose nameservers never answer, neither for names nor for addresses."""
    client = Client(f"198.51.{sender}.1", 4000, f"mail.a{sender}.dead")
    return replace(GOOD, id=new_id(), client=client, sender=f"joe@a{sender}.dead")


async def times_of_good_ones(judge: Judge, slow_ones: list[Envelope]) -> tuple[float, list[Authenticity]]:
    """Have slow messages arrive before good ones. Return how long the last good one took, and what slow ones came to."""
    began_s = time.monotonic()
    late = [asyncio.create_task(judge(envelope)) for envelope in slow_ones]
    good = await asyncio.gather(*(judge(replace(GOOD, id=new_id())) for _ in range(GOOD_MESSAGES)))
    took_s = time.monotonic() - began_s
    assert all(found.spf is not None and found.spf.word is SpfWord.PASS for found in good)
    results = await asyncio.gather(*late)
    print(f"\n    the last good one after {took_s:.2f} s, the last slow one after {time.monotonic() - began_s:.2f} s")
    return took_s, results


def are_temporary(results: list[Authenticity]) -> bool:
    return all(found.spf is not None and found.spf.word is SpfWord.TEMPERROR for found in results)


@pytest.mark.parametrize("worker", [SHORT], indirect=True)
async def test_200_messages_of_one_slow_sender_hold_others_up_for_about_one_wait(worker: Judge) -> None:
    took_s, results = await times_of_good_ones(worker, [slow(0) for _ in range(SLOW_MESSAGES)])
    assert took_s < 4 * SHORT.message_slow_s
    # RFC 7208 §2.6.6: DNS that does not answer is temperror: nothing is said against the sender.
    assert are_temporary(results)


@pytest.mark.parametrize("worker", [SHORT], indirect=True)
async def test_each_of_200_slow_senders_costs_others_a_part_of_its_wait(worker: Judge) -> None:
    took_s, results = await times_of_good_ones(worker, [slow(number) for number in range(SLOW_MESSAGES)])
    rounds = SLOW_MESSAGES / (PREFETCH / 2)
    assert took_s < (rounds / 2 + 4) * SHORT.message_slow_s
    assert are_temporary(results)


@pytest.mark.parametrize("worker", [SHORT], indirect=True)
async def test_half_of_the_places_are_never_held_for_long(worker: Judge) -> None:
    waiting = [asyncio.create_task(worker(slow(number))) for number in range(PREFETCH)]
    done, _ = await asyncio.wait(waiting, timeout=SHORT.limit_s * 0.6)
    assert len(done) >= PREFETCH // 2
    assert are_temporary(await asyncio.gather(*waiting))


@pytest.mark.slow
@pytest.mark.parametrize("worker", [TRUE], indirect=True)
@pytest.mark.parametrize("senders", [1, SLOW_MESSAGES])
async def test_the_same_with_the_true_limits(worker: Judge, senders: int) -> None:
    took_s, results = await times_of_good_ones(worker, [slow(n % senders) for n in range(SLOW_MESSAGES)])
    # Without any of it: 200 messages, 20 at a time, 12 s each: 120 s.
    assert took_s < (5 if senders == 1 else 18)
    assert are_temporary(results)
