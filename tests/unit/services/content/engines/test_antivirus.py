"""Several engines, one word: the gravest; and clean only if all of them say so."""

import asyncio
import itertools

import pytest

from services.content.engines.antivirus import Antivirus
from services.content.engines.icap_wire import parse_service
from services.content.engines.sample import Sample
from services.content.engines.scan import Clean, Encrypted, EngineError, Exceeded, Infected, ScanResult

Answer = ScanResult | EngineError
CLEAN, INFECTED = Clean("a"), Infected("a", "X")
ENCRYPTED, EXCEEDED, ERROR = Encrypted("a", "Y"), Exceeded("a", "Z"), EngineError("gone")


class FakeEngine:
    """Gives one answer, or none until it is told to."""

    def __init__(self, answer: Answer, *, after: asyncio.Event | None = None, name: str = "a") -> None:
        self.name = name
        self.answer = answer
        self.after = after
        self.was_broken_off = False

    async def scan(self, sample: Sample) -> ScanResult:
        try:
            if self.after is not None:
                await self.after.wait()
        except asyncio.CancelledError:
            self.was_broken_off = True
            raise
        if isinstance(self.answer, EngineError):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ((INFECTED, CLEAN), INFECTED),
        ((INFECTED, ERROR), INFECTED),
        ((INFECTED, EXCEEDED), INFECTED),
        ((ERROR, CLEAN), ERROR),
        ((ERROR, EXCEEDED), ERROR),
        ((EXCEEDED, ENCRYPTED), EXCEEDED),
        ((EXCEEDED, CLEAN), EXCEEDED),
        ((ENCRYPTED, CLEAN), ENCRYPTED),
        ((CLEAN, CLEAN), Clean("a and a")),
    ],
)
async def test_the_gravest_answer_counts_in_any_order(answers: tuple[Answer, ...], result: Answer) -> None:
    for order in itertools.permutations(answers):
        antivirus = Antivirus([FakeEngine(answer) for answer in order])
        if isinstance(result, EngineError):
            with pytest.raises(EngineError, match="gone"):
                await antivirus.scan(b"")
        else:
            assert await antivirus.scan(b"") == result


async def test_malware_is_reported_at_once_and_the_other_engine_may_end_its_work() -> None:
    release = asyncio.Event()
    slow = FakeEngine(CLEAN, after=release)
    antivirus = Antivirus([slow, FakeEngine(INFECTED)])
    assert await antivirus.scan(b"") == INFECTED
    release.set()
    await antivirus.close()
    assert not slow.was_broken_off


async def test_out_of_time_all_engines_are_left() -> None:
    never = asyncio.Event()
    engines = [FakeEngine(CLEAN, after=never) for _ in range(2)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Antivirus(engines).scan(b"")
    await asyncio.sleep(0)
    assert all(engine.was_broken_off for engine in engines)


@pytest.mark.parametrize(
    "url",
    ["http://a/b", "icap://a", "icap://a/", "icap:///b", "icap://a/b c", "icap://a/b\r\nX: y", "icap://u@a/b", "x"],
)
def test_a_services_address_is_checked(url: str) -> None:
    with pytest.raises(ValueError, match="is not icap"):
        parse_service(url)


def test_a_services_address_has_a_port_unless_it_is_the_usual_one() -> None:
    assert parse_service("icap://[::1]/avscan").host_field == "[::1]:1344"
    assert parse_service("icap://av.test:1111/avscan?mode=simple").port == 1111
