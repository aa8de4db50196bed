"""Hostile messages and mutations of real ones: each has an outcome, at a bounded cost, and the event loop goes on.

What the loop is held by is measured as the processor time of its thread between two of its turns, which a busy machine
does not change; the longest turn by the clock, which also holds what other threads and processes took, is printed.
What a message costs is the processor time of this process and of its helpers.
"""

import asyncio
import contextlib
import gc
import re
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import pytest_asyncio

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
from shared.verdict import CheckName, Verdict
from tests.hostile import hostile_messages, mutations, seeds
from tests.hostile_signed import SIGNED, key_lines, sign

pytestmark = pytest.mark.asyncio(loop_scope="module")
HELD_LIMIT_S = 0.1
CPU_LIMIT_S = 5.0
_TURN_S = 0.002
_DEFECT = re.compile(
    "check failed|internal error|its parts (failed|was not possible)|did not report|ended the processes"
)
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
            await asyncio.sleep(_TURN_S)
            self.held_s = max(self.held_s, time.thread_time() - cpu)
            self.waited_s = max(self.waited_s, time.perf_counter() - began - _TURN_S)

    def __str__(self) -> str:
        return f"held {self.held_s * 1000:.0f} ms ({self.waited_s * 1000:.0f} ms by the clock)"


class Costs:
    """The processor time that a message takes from this process and its helpers; their own start does not count."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._own_s = self._ended_s = 0.0
        self._helpers: dict[int, float] = {}

    async def begin(self) -> None:
        """Wait for a helper that can work, and count from now on."""
        while not self._inspector.pool.processes:
            await asyncio.sleep(_TURN_S)
        self._own_s, self._helpers, self._ended_s = time.process_time(), self._seen(), _ended_children_s()

    def end(self) -> float:
        """Return the seconds since it began."""
        helpers = self._seen()
        spent = time.process_time() - self._own_s + _ended_children_s() - self._ended_s
        # Of one that has ended, all that it ever took is among the ended children.
        return spent + sum(helpers.get(pid, 0.0) - before for pid, before in self._helpers.items())

    def _seen(self) -> dict[int, float]:
        found = {}
        for process in self._inspector.pool.processes.values():
            with contextlib.suppress(OSError):
                nanoseconds = Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]
                found[process.pid] = int(nanoseconds) / 1e9
        return found


def _ended_children_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Turns]:
    turns = Turns()
    task = asyncio.create_task(turns.watch())
    try:
        yield turns
    finally:
        task.cancel()


@dataclass(frozen=True, slots=True)
class Desk:
    """A content worker's examiner with its processes, and what they cost."""

    examiner: Examiner
    costs: Costs

    async def outcome(self, message: bytes) -> Verdict:
        """Take a message through all that content does with it: it is examined, judged, and made ready for delivery."""
        examination = await self.examiner.examine(ENVELOPE, message, BOOK)
        verdict = decide(examination.findings, BOOK, ENVELOPE, examination.mail)["gatepost.test"]
        judged = replace(ENVELOPE, verdict=verdict, results=examination.results)
        marked_message(judged, message, "mx.gatepost.test", BOOK.policy)
        # A defect of ours, or a helper that dies, holds the message and is told as such; here there must be none.
        assert not [reason for reason in verdict.reasons if _DEFECT.search(reason.evidence)], verdict
        return verdict


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A desk whose DNS answers at once, of one domain below test."""
    zone = tmp_path_factory.mktemp("zones") / "test.zone"
    lines = ["$ORIGIN test.", 'sender IN TXT "v=spf1 ip4:192.0.2.1 -all"', *key_lines()]
    zone.write_text("\n".join(lines) + "\n", encoding="utf-8")
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
        yield Desk(Examiner(engines), Costs(inspector))
    finally:
        gc.unfreeze()
        await inspector.close()
        await resolver.close()


async def bounded(desk: Desk, name: str, message: bytes) -> Verdict:
    """Return a message's outcome; see that it held nobody up and cost no more than it may."""
    await desk.costs.begin()
    async with watched() as turns:
        verdict = await desk.outcome(message)
    cost = desk.costs.end()
    print(f"{name}: {verdict.action}, {cost:.2f} s, {turns}, {verdict.reasons[0].evidence}")
    assert turns.held_s < HELD_LIMIT_S
    assert cost < CPU_LIMIT_S
    assert len(verdict.reasons) > 1
    return verdict


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_message_has_an_outcome_and_holds_nobody_up(name: str, desk: Desk) -> None:
    await bounded(desk, name, HOSTILE[name])


@pytest.mark.parametrize("name", SIGNED)
async def test_a_hostile_message_whose_signatures_are_verified_does_so_too(name: str, desk: Desk) -> None:
    verdict = await bounded(desk, name, SIGNED[name].build())
    assert {reason.result for reason in verdict.reasons if reason.check is CheckName.DKIM} == {SIGNED[name].result}


@dataclass(slots=True)
class Tally:
    """What became of many messages: actions, the rules that decided, DKIM's words, the costliest one."""

    actions: Counter[str] = field(default_factory=Counter)
    deciders: Counter[str] = field(default_factory=Counter)
    dkim: Counter[str] = field(default_factory=Counter)
    costliest_s: float = 0.0

    def note(self, verdict: Verdict, cost_s: float) -> None:
        self.actions[verdict.action.value] += 1
        self.deciders[verdict.reasons[0].key] += 1
        self.dkim.update(reason.result for reason in verdict.reasons if reason.check is CheckName.DKIM)
        self.costliest_s = max(self.costliest_s, cost_s)


async def fuzz(count: int, desk: Desk) -> Tally:
    """Take so many mutations through, one after another."""
    tally = Tally()
    signed = [sign(seed) for seed in seeds()]
    async with watched() as turns:
        for message in mutations(count, seed=20_261_124, more=signed):
            # The mutation itself is no cost of ours.
            await desk.costs.begin()
            verdict = await desk.outcome(message)
            tally.note(verdict, desk.costs.end())
    print(f"{count} mutations: {turns}, the costliest {tally.costliest_s * 1000:.0f} ms")
    print(f"{dict(tally.actions)}; DKIM {dict(tally.dkim)}; decided by {dict(tally.deciders)}")
    assert turns.held_s < HELD_LIMIT_S
    assert tally.costliest_s < CPU_LIMIT_S
    return tally


async def test_mutations_of_real_messages_have_outcomes(desk: Desk) -> None:
    assert (await fuzz(1000, desk)).actions.total() == 1000


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_100_000_mutations_of_real_messages_have_outcomes(desk: Desk) -> None:
    assert (await fuzz(100_000, desk)).actions.total() == 100_000
