"""Engines that are gone, hang, die at work or talk nonsense: their mail waits, and is judged as soon as they are back."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cicap import Cicap
from tests.clamd import Clamd
from tests.dnsserver import DnsServer
from tests.failure.door import Door
from tests.failure.house import EVIL, POLICY, Answer, House, What
from tests.gateway import Gateway
from tests.integration.content.faulty_daemon import FaultyDaemon, says
from tests.load.mail import SigningKey, zone_of
from tests.load.sink import Sink
from tests.rabbit import Rabbit
from tests.rspamd import Rspamd
from tests.spamd import Spamd

NO_ANTISPAM = '[antispam]\nengine = "none"\n'
SPAM_GARBAGE = b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"action":"no action","score":'
CLAMD_GARBAGE = b"1: stream: OKAY\0\xff\xfe2: OK\0"
SPAMD_GARBAGE = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 2\r\nSpam: maybe ; none / 5.0\r\n\r\nhi"
ONE_MESSAGE_BYTES = 4400
# A helper takes longer to start.
HUNT_EVERY_S = 0.02
STARTED = "gatepost_content_isolation_starts_total"
GIVEN = "gatepost_content_isolation_wait_seconds_count"
ICAP_GARBAGE = b"ICAP/1.0 2040 No\r\nISTag: none\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine behind its door. finds: what nobody finds without it. frozen: holds it still, as SIGSTOP does."""

    door: Door
    finds: What
    garbage: bytes
    kill: Callable[[], None]
    start: Callable[[], None]
    frozen: Callable[[], AbstractContextManager[None]]


@contextlib.asynccontextmanager
async def house_of(
    folder: Path, rabbit: Rabbit, clamd: Clamd, key: SigningKey, engines: str, *kinds: What
) -> AsyncIterator[House]:
    async with DnsServer(zone_of(key)) as dns, Sink().listening() as sink, Sink().listening() as free:
        gateway = Gateway(folder, rabbit, clamd, dns.address, engines=engines)
        routes = {"sink.test": f"smtp://127.0.0.1:{sink.port}", "free.test": f"smtp://127.0.0.1:{free.port}"}
        try:
            await gateway.open(routes, POLICY, content_workers=1)
            yield House(gateway, sink, free, kinds)
        finally:
            await gateway.close()


# ---- two of each


async def test_one_of_two_stands_in_and_without_both_mail_waits_until_they_are_back(
    tmp_path: Path, rabbit: Rabbit, clamd: Clamd, rspamd: Rspamd, key: SigningKey
) -> None:
    async with Door(clamd.port) as a, Door(clamd.port) as b, Door(rspamd.port) as c, Door(rspamd.port) as d:
        settings = (
            f'[clamd]\naddresses = ["{a.address}", "{b.address}"]\n'
            f'[antispam]\naddresses = ["{c.address}", "{d.address}"]\n'
        )
        # The gateway is up first.
        await asyncio.gather(*(door.shut() for door in (a, b, c, d)))
        async with house_of(tmp_path, rabbit, clamd, key, settings, What.VIRUS, What.SPAM) as house:
            await house.judges_nothing_that((What.VIRUS, What.SPAM))
            await asyncio.gather(*(door.open() for door in (a, b, c, d)))
            await house.judges()
            with a.held(), c.held():
                await asyncio.gather(*(house.judges() for _ in range(3)))
            await asyncio.gather(b.shut(), d.shut())
            await asyncio.gather(*(house.judges() for _ in range(3)))

            await asyncio.gather(asyncio.to_thread(clamd.kill), asyncio.to_thread(rspamd.kill))
            await house.judges_nothing_that((What.VIRUS, What.SPAM))
            held = await house.takes_and_holds((What.VIRUS, What.SPAM))
            await asyncio.gather(asyncio.to_thread(clamd.start), asyncio.to_thread(rspamd.start))
            await house.judges()
            await asyncio.gather(b.open(), d.open())
            await house.judges_what_it_held(held)
            await house.judges()
            await house.close_books()


@pytest.mark.slow
@pytest.mark.timeout(200)
async def test_all_engines_that_hang_at_once_hold_no_client_up_longer_than_one_does(
    tmp_path: Path, rabbit: Rabbit, clamd: Clamd, rspamd: Rspamd, key: SigningKey
) -> None:
    both = (What.VIRUS, What.SPAM)
    async with Door(clamd.port) as a, Door(clamd.port) as b, Door(rspamd.port) as c, Door(rspamd.port) as d:
        settings = (
            f'[clamd]\naddresses = ["{a.address}", "{b.address}"]\n'
            f'[antispam]\naddresses = ["{c.address}", "{d.address}"]\n'
        )
        async with house_of(tmp_path, rabbit, clamd, key, settings, *both) as house:
            await house.judges()
            with a.held(), b.held(), c.held(), d.held():
                await house.judges_nothing_that(both)
                held = await house.takes_and_holds(both)
            await house.judges()
            await house.judges_what_it_held(held)
            await house.close_books()


# ---- one engine, and all that can befall it


@contextlib.asynccontextmanager
async def clamd_at(clamd: Clamd) -> AsyncIterator[tuple[Engine, str]]:
    async with Door(clamd.port) as door:
        engine = Engine(door, What.VIRUS, CLAMD_GARBAGE, clamd.kill, clamd.start, clamd.hanging)
        yield engine, f'[clamd]\naddresses = ["{door.address}"]\n{NO_ANTISPAM}'


@contextlib.asynccontextmanager
async def antispam_at(name: str, spam: Rspamd | Spamd, clamd: Clamd) -> AsyncIterator[tuple[Engine, str]]:
    @contextlib.contextmanager
    def frozen() -> Iterator[None]:
        spam.freeze()
        try:
            yield
        finally:
            if spam.is_up:
                spam.thaw()

    garbage = SPAM_GARBAGE if name == "rspamd" else SPAMD_GARBAGE
    async with Door(spam.port) as door:
        clamds = f'[clamd]\naddresses = ["{clamd.address}"]\n'
        settings = f'{clamds}[antispam]\nengine = "{name}"\naddresses = ["{door.address}"]\n'
        yield Engine(door, What.SPAM, garbage, spam.kill, spam.start, frozen), settings


@contextlib.asynccontextmanager
async def _killed(engine: Engine) -> AsyncIterator[None]:
    await asyncio.to_thread(engine.kill)
    await engine.door.shut()
    yield
    await asyncio.to_thread(engine.start)
    await engine.door.open()


@contextlib.asynccontextmanager
async def _stopped(engine: Engine) -> AsyncIterator[None]:
    with engine.frozen():
        yield


@contextlib.asynccontextmanager
async def _late(engine: Engine) -> AsyncIterator[None]:
    with engine.door.held():
        yield


@contextlib.asynccontextmanager
async def _garbage(engine: Engine) -> AsyncIterator[None]:
    async with FaultyDaemon(says(engine.garbage)) as daemon:
        with engine.door.leading_to(int(daemon.address.rpartition(":")[2])):
            yield


FAULTS: dict[str, Callable[[Engine], AbstractAsyncContextManager[None]]] = {
    "killed": _killed,
    "stopped": _stopped,
    "answers late": _late,
    "garbage": _garbage,
}


async def _dies_at_work(house: House, engine: Engine) -> None:
    """See that what the engine had in hand when it died is not taken for good."""
    # Over a connection that is kept, the message itself goes to it; over a new one, a question might come first.
    assert (await house.send(What.CLEAN)).code == 250
    with engine.frozen():
        at_work = [asyncio.create_task(house.send(what)) for what in (What.CLEAN, engine.finds)]
        await engine.door.passed(ONE_MESSAGE_BYTES)
        await asyncio.to_thread(engine.kill)
    assert {answer.code for answer in await asyncio.gather(*at_work)} == {451}
    await asyncio.to_thread(engine.start)
    await house.judges()


async def _all_faults(house: House, engine: Engine) -> None:
    await house.judges()
    for name, fault in FAULTS.items():
        print(f"\n    {engine.finds}: {name}")
        async with fault(engine):
            await house.judges_nothing_that((engine.finds,))
            held = await house.takes_and_holds((engine.finds,))
        await house.judges()
        await house.judges_what_it_held(held)
    await _dies_at_work(house, engine)
    await house.close_books()


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_whatever_befalls_clamd_its_mail_waits(
    tmp_path: Path, rabbit: Rabbit, clamd: Clamd, key: SigningKey
) -> None:
    async with (
        clamd_at(clamd) as (engine, settings),
        house_of(tmp_path, rabbit, clamd, key, settings, What.VIRUS) as house,
    ):
        await _all_faults(house, engine)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", ["rspamd", "spamd"])
async def test_whatever_befalls_the_antispam_engine_its_mail_waits(
    name: str, tmp_path: Path, rabbit: Rabbit, clamd: Clamd, key: SigningKey, request: pytest.FixtureRequest
) -> None:
    spam: Rspamd | Spamd = request.getfixturevalue(name)
    async with (
        antispam_at(name, spam, clamd) as (engine, settings),
        house_of(tmp_path, rabbit, clamd, key, settings, What.VIRUS, What.SPAM) as house,
    ):
        await _all_faults(house, engine)


@pytest.fixture
def cicap(tmp_path: Path) -> Iterator[tuple[Cicap, Clamd]]:
    """A c-icap, and behind it a clamd that knows EVIL alone."""
    with tempfile.TemporaryDirectory(prefix="gatepost-clamd-test-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "evil.ndb").write_text(f"Evil:0:*:{EVIL.hex()}\n")
        behind = Clamd(tmp_path, folder / "clamd.sock", (f"DatabaseDirectory {folder}",))
        behind.start()
        with Cicap(folder / "clamd.sock", requests=1000) as server:
            yield server, behind
        behind.kill()


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_whatever_befalls_the_second_antivirus_engine_its_mail_waits(
    tmp_path: Path, rabbit: Rabbit, clamd: Clamd, key: SigningKey, cicap: tuple[Cicap, Clamd]
) -> None:
    server, behind = cicap
    async with Door(server.port) as door:
        engine = Engine(door, What.EVIL, ICAP_GARBAGE, server.kill, server.start, server.hanging)
        settings = (
            f'[clamd]\naddresses = ["{clamd.address}"]\n{NO_ANTISPAM}[icap]\nurl = "icap://{door.address}/avscan"\n'
        )
        async with house_of(tmp_path, rabbit, clamd, key, settings, What.VIRUS, What.EVIL) as house:
            # c-icap is well, and what it asks is not.
            await house.judges()
            await asyncio.to_thread(behind.kill)
            await house.judges_nothing_that((What.EVIL,))
            await asyncio.to_thread(behind.start)
            await _all_faults(house, engine)


# ---- the processes that examine what is heavy or packed


async def test_helper_processes_that_die_or_hang_let_nothing_pass(
    tmp_path: Path, rabbit: Rabbit, clamd: Clamd, key: SigningKey
) -> None:
    settings = f'[clamd]\naddresses = ["{clamd.address}"]\n{NO_ANTISPAM}[isolation]\ncpu_s = 2\n'
    async with house_of(tmp_path, rabbit, clamd, key, settings, What.PACKED, What.PROGRAM) as house:
        await house.judges()
        _signal_helpers(house, signal.SIGKILL)
        await house.judges()

        # One that dies at work: another does its work.
        at_work = await _at_work(house, What.PROGRAM)
        waiting = asyncio.create_task(house.send(What.PACKED))
        _signal_helpers(house, signal.SIGKILL)
        assert ((await at_work).code, (await waiting).code) == (550, 250)

        # All die as soon as they start: nobody can say what the message is. What needs none of them goes on.
        async with _hunted(house):
            kinds = (What.CLEAN, What.PACKED, What.PROGRAM)
            answers = await asyncio.gather(*(house.send(what) for what in kinds))
            assert [answer.code for answer in answers] == [250, 451, 451], answers
            started = await house.gateway.metric("content", STARTED)
        # It tries again after a pause of five seconds at the most.
        await house.gateway.reaches("content", STARTED, started + 1)
        await house.judges()

        # One that hangs is ended, and what it had is kept for a person to look at.
        await house.keeps_back(await (await _at_work(house, What.PROGRAM)))
        await house.judges()
        await house.close_books()


def _signal_helpers(house: House, number: signal.Signals) -> None:
    for pid in house.gateway.helpers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _at_work(house: House, what: What) -> "asyncio.Task[Answer]":
    """Have a helper that hangs take a message; return the message's way."""
    before = await house.gateway.metric("content", GIVEN)
    _signal_helpers(house, signal.SIGSTOP)
    sent = asyncio.create_task(house.send(what))
    await house.gateway.reaches("content", GIVEN, before + 1)
    return sent


@contextlib.asynccontextmanager
async def _hunted(house: House) -> AsyncIterator[None]:
    """Kill every helper as soon as it is seen, for the length of a `with`."""

    async def hunt() -> None:
        while True:
            _signal_helpers(house, signal.SIGKILL)
            await asyncio.sleep(HUNT_EVERY_S)

    task = asyncio.create_task(hunt())
    try:
        yield
    finally:
        task.cancel()
