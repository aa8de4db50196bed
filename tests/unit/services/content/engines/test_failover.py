"""Rules of asking several antispam daemons."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from services.content.engines.failover import FailoverEngine
from services.content.spam import SpamError, SpamReport, SpamRequest
from shared.envelope import Client, Direction, Envelope, Recipient

REQUEST = SpamRequest(
    Envelope(
        id="06et",
        received_at=0,
        listener="mx",
        direction=Direction.INBOUND,
        client=Client("192.0.2.1", 25, "helo.test"),
        sender="",
        recipients=(Recipient("b@gatepost.test"),),
        size_bytes=0,
    ),
    b"",
)


class Daemons:
    """Answers, fails or hangs by address."""

    name = "Fake"

    def __init__(self, **how: str) -> None:
        self.how = how
        self.asked: list[str] = []

    async def ask(self, address: str, request: SpamRequest) -> SpamReport:
        self.asked.append(address)
        match self.how[address]:
            case "hangs":
                await asyncio.Event().wait()
            case "fails":
                raise SpamError(f"{address} is away")
        return SpamReport(address, 1.0)

    async def close(self) -> None:
        """Nothing is open."""


async def judge(daemons: Daemons, *addresses: str) -> str:
    return (await FailoverEngine(daemons, addresses, attempt_s=0.02).judge(REQUEST)).engine


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_the_next_one_answers_where_one_does_not(how: str) -> None:
    assert await judge(Daemons(a=how, b="answers"), "a", "b") == "b"


async def test_the_last_cause_is_told_when_all_fail() -> None:
    with pytest.raises(SpamError, match="b is away"):
        await judge(Daemons(a="hangs", b="fails"), "a", "b")


async def test_the_last_one_has_all_the_time_that_the_caller_gives() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await judge(Daemons(a="fails", b="hangs"), "a", "b")


async def test_one_that_the_caller_could_not_wait_for_is_put_aside() -> None:
    daemons = Daemons(a="hangs", b="answers")
    engine = FailoverEngine(daemons, ["a", "b"], attempt_s=10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await engine.judge(REQUEST)
    for _ in range(4):
        assert (await engine.judge(REQUEST)).engine == "b"
    assert daemons.asked == ["a", "b", "b", "b", "b"]


async def test_a_single_one_that_failed_is_asked_all_the_same() -> None:
    daemons = Daemons(a="fails")
    engine = FailoverEngine(daemons, ["a"])
    for _ in range(3):
        with pytest.raises(SpamError):
            await engine.judge(REQUEST)
    daemons.how["a"] = "answers"
    assert (await engine.judge(REQUEST)).engine == "a"


async def test_failures_are_counted() -> None:
    name = "gatepost_content_antispam_failures_total"
    before = REGISTRY.get_sample_value(name) or 0
    await judge(Daemons(a="fails", b="hangs", c="answers"), "a", "b", "c")
    assert (REGISTRY.get_sample_value(name) or 0) - before == 2
