"""Hostile messages and mutations of real ones: each has an outcome, at a bounded cost, and the event loop goes on.

What the loop is held by is measured as the processor time of its thread between two of its turns, which a busy machine
does not change. The longest turn by the clock, which also holds what other threads and processes took, is printed.
"""

import asyncio
import contextlib
import gc
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.content.authenticity import Authenticator
from services.content.brake import Brake
from services.content.decide import decide
from services.content.engines.scan import Clean, ScanResult
from services.content.examine import Engines, Examiner
from services.content.inspector import Inspector
from services.content.mark import marked_message
from services.content.rulebook import RuleBook
from services.content.settings import IsolationSettings
from shared.dns.patience import Patience
from shared.dns.resolver import CachingResolver
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.policy import Policy
from shared.state.memory import MemoryState
from shared.verdict import Action, Verdict
from tests.hostile import hostile_messages, mutations

HELD_LIMIT_S = 0.1
CPU_LIMIT_S = 5.0
# What starting a process anew and importing its libraries costs beside.
START_S = 3.0
HOSTILE = hostile_messages()
BOOK = RuleBook(Policy(), 1)
ENVELOPE = Envelope(
    id="01m85rrw9tejgajt89hfcgzyx2",
    received_at=0,
    listener="mx",
    direction=Direction.INBOUND,
    client=Client("192.0.2.1", 4000, "mail.sender.test"),
    sender="joe@sender.test",
    recipients=(Recipient("demo@gatepost.test"),),
    size_bytes=100,
)


class CleanEngine:
    """An antivirus engine that finds nothing: what it costs is not measured here."""

    async def scan(self, data: bytes) -> ScanResult:
        return Clean("nothing")


class Turns:
    """The longest turn of the event loop: by its thread's processor time, and by the clock."""

    def __init__(self) -> None:
        self.held_s = self.waited_s = 0.0

    async def watch(self) -> None:
        while True:
            began, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.002)
            self.held_s = max(self.held_s, time.thread_time() - cpu)
            self.waited_s = max(self.waited_s, time.perf_counter() - began)


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Turns]:
    turns = Turns()
    task = asyncio.create_task(turns.watch())
    try:
        yield turns
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def examining(folder: Path) -> AsyncIterator[Examiner]:
    """A content worker's examiner with its processes; DNS answers at once: of all names below test., one exists."""
    zone = folder / "test.zone"
    zone.write_text('$ORIGIN test.\nsender IN TXT "v=spf1 ip4:192.0.2.1 -all"\n', encoding="utf-8")
    resolver = CachingResolver([], [zone])
    inspector = Inspector(IsolationSettings())
    await inspector.start()
    engines = Engines(
        antivirus=CleanEngine(),
        antispam=None,
        inspector=inspector,
        authenticator=Authenticator(Patience(resolver, 10), "mx.gatepost.test"),
        brake=Brake(MemoryState()),
    )
    # As a content worker does: the tests' own objects would take long to go through.
    gc.freeze()
    try:
        yield Examiner(engines)
    finally:
        gc.unfreeze()
        await inspector.close()
        await resolver.close()


def cpu_s() -> float:
    """Return what this process and its ended children have cost."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


async def outcome(examiner: Examiner, message: bytes) -> Verdict:
    """Take a message through all that content does with it."""
    examination = await examiner.examine(ENVELOPE, message, BOOK)
    return decide(examination.findings, BOOK, ENVELOPE, examination.mail)["gatepost.test"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_message_has_an_outcome_and_holds_nobody_up(name: str, tmp_path: Path) -> None:
    async with examining(tmp_path) as examiner:
        before = cpu_s()
        async with watched() as turns:
            verdict = await outcome(examiner, HOSTILE[name])
        # Closing ends the processes, whose cost is then known.
    cost = cpu_s() - before
    print(f"{name}: {verdict.action}, {cost:.2f} s, held {turns.held_s * 1000:.0f} ms, {verdict.reasons[0].evidence}")
    assert turns.held_s < HELD_LIMIT_S
    assert cost < CPU_LIMIT_S + START_S
    assert len(verdict.reasons) > 1


async def fuzz(count: int, folder: Path) -> dict[Action, int]:
    found: dict[Action, int] = {}
    slowest = 0.0
    async with examining(folder) as examiner, watched() as turns:
        for message in mutations(count, seed=20_261_124):
            began = time.thread_time()
            verdict = await outcome(examiner, message)
            marked_message(ENVELOPE, message, "mx.gatepost.test", BOOK.policy)
            slowest = max(slowest, time.thread_time() - began)
            found[verdict.action] = found.get(verdict.action, 0) + 1
    print(f"{count} mutations: {found}, slowest {slowest * 1000:.0f} ms, held {turns.held_s * 1000:.0f} ms")
    assert turns.held_s < HELD_LIMIT_S
    return found


async def test_mutations_of_real_messages_have_outcomes(tmp_path: Path) -> None:
    assert sum((await fuzz(1000, tmp_path)).values()) == 1000


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_100_000_mutations_of_real_messages_have_outcomes(tmp_path: Path) -> None:
    assert sum((await fuzz(100_000, tmp_path)).values()) == 100_000
