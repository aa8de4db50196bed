"""Helper processes on hostile mail: each message has an outcome, and the processes are there again for the next."""

import asyncio
import contextlib
import gzip
import os
import signal
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from services.content.inspector import Inspector
from services.content.isolation import process as process_module
from services.content.isolation.pool import Unavailable
from services.content.isolation.process import Process
from services.content.mime.inspection import FaultKind, FileKind, Inspection, Macro
from services.content.settings import IsolationSettings
from shared.auth.message import split_message
from shared.policy.content import InspectionRules
from tests import packed
from tests.hostile import HEAD, TEXT, attachment, multipart

RULES = InspectionRules()
PROGRAM = b"MZ\x90\0" + bytes(range(256)) * 8
# Bounds that let a message cost far more than a helper may.
WIDE = InspectionRules(archive_ratio=100_000, unpacked_bytes=1_000_000_000, archive_files=100_000)


def mail(*files: tuple[str, bytes]) -> bytes:
    return HEAD + multipart(TEXT, *(attachment(content, name) for name, content in files))


ZIP = mail(("a.zip", packed.zipped({"invoice.pdf.exe": PROGRAM})))


def zeros(size: int) -> bytes:
    """Return so many zeros, packed by gzip, without ever having them."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


@contextlib.asynccontextmanager
async def running(**settings: int) -> AsyncIterator[Inspector]:
    inspector = Inspector(IsolationSettings(**settings))
    await inspector.start()
    try:
        yield inspector
    finally:
        await inspector.close()


async def look(inspector: Inspector, data: bytes, rules: InspectionRules = RULES, source: str = "") -> Inspection:
    async with asyncio.timeout(30):
        return await inspector.inspect(data, split_message(data), rules, source)


async def helper(inspector: Inspector) -> Process:
    """Return the helper process, which must have started."""
    await look(inspector, ZIP)
    (process,) = inspector.pool.processes.values()
    return process


def kinds(seen: Inspection) -> set[FaultKind]:
    return {fault.kind for fault in seen.faults}


async def test_what_is_packed_is_seen() -> None:
    async with running() as inspector:
        seen = await look(inspector, ZIP)
        assert [one.kind for one in seen.attachments] == [FileKind.ARCHIVE, FileKind.EXECUTABLE]
        seen = await look(inspector, mail(("order.docm", packed.macro_document())))
        assert seen.attachments[0].macro is Macro.SUSPICIOUS


async def test_plain_mail_needs_no_helper() -> None:
    inspector = Inspector(IsolationSettings())
    seen = await look(inspector, HEAD + TEXT)
    assert seen == Inspection(1)


async def test_a_message_that_needs_too_much_cpu_ends_with_that_outcome_and_the_next_is_examined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine a helper might not have its second of CPU time within two of the clock.
    monkeypatch.setattr("services.content.isolation.process._WALL_FACTOR", 10)
    data = mail(("a.zip", packed.bomb(450, 2_000_000)))
    async with running(cpu_s=1, memory_mb=4000) as inspector:
        process = await helper(inspector)
        begun = time.monotonic()
        seen = await look(inspector, data, WIDE)
        assert kinds(seen) == {FaultKind.OVERRUN}
        assert "CPU" in seen.faults[-1].text
        assert time.monotonic() - begun < 10
        # What is known without unpacking stays known.
        assert seen.attachments[0].names == ("a.zip",)
        assert not psutil.pid_exists(process.pid)
        assert kinds(await look(inspector, ZIP)) == set()


async def test_a_message_that_needs_too_much_memory_ends_with_that_outcome() -> None:
    data = mail(("a.zip", packed.bomb(450, 2_000_000)))
    async with running(cpu_s=30, memory_mb=256) as inspector:
        seen = await look(inspector, data, WIDE)
        assert kinds(seen) == {FaultKind.OVERRUN}
        assert "memory" in seen.faults[-1].text
        assert kinds(await look(inspector, ZIP)) == set()


async def test_a_stopped_helper_is_killed_after_its_time() -> None:
    async with running(cpu_s=1) as inspector:
        process = await helper(inspector)
        os.kill(process.pid, signal.SIGSTOP)
        seen = await look(inspector, ZIP)
        assert kinds(seen) == {FaultKind.OVERRUN}
        assert "within 2 s" in seen.faults[-1].text
        assert not psutil.pid_exists(process.pid)
        assert kinds(await look(inspector, ZIP)) == set()


async def test_a_helper_killed_in_the_middle_of_a_message_is_replaced_and_the_message_examined_again() -> None:
    async with running() as inspector:
        process = await helper(inspector)
        os.kill(process.pid, signal.SIGSTOP)
        job = asyncio.create_task(look(inspector, ZIP))
        await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        assert kinds(await job) == set()


async def test_a_helper_that_dies_between_messages_is_replaced() -> None:
    async with running() as inspector:
        process = await helper(inspector)
        os.kill(process.pid, signal.SIGKILL)
        assert kinds(await look(inspector, ZIP)) == set()
        (other,) = inspector.pool.processes.values()
        assert other.pid != process.pid


async def test_a_helper_works_on_while_the_service_drains() -> None:
    async with running() as inspector:
        process = await helper(inspector)
        os.kill(process.pid, signal.SIGTERM)
        assert kinds(await look(inspector, ZIP)) == set()
        assert next(iter(inspector.pool.processes.values())).pid == process.pid


@pytest.mark.parametrize(
    "words",
    [
        "c.sendall(b'\\xff' * 10000)",
        "c.sendall(b'\\0\\0\\0\\5garba')",
        "c.sendall(b'\\0\\0\\0\\7[1,2,3]')",
        "c.shutdown(2); time.sleep(100)",
        "sys.exit(3)",
        "os.kill(os.getpid(), 11)",
    ],
)
async def test_garbage_from_a_helper_is_an_outcome_and_never_a_pass(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
        import os, socket, sys, time
        c = socket.socket(fileno=int(sys.argv[1]))
        c.sendall(b'\\0\\0\\0\\5ready')
        c.recv(1)
        {words}
    """
    (tmp_path / "odd_helper.py").write_text(textwrap.dedent(code))
    monkeypatch.setattr(process_module, "_MODULE", "odd_helper")
    monkeypatch.setattr(process_module, "_ROOT", tmp_path)
    async with running() as inspector:
        seen = await look(inspector, ZIP)
        assert kinds(seen) == {FaultKind.OVERRUN}
        assert "ended the processes" in seen.faults[-1].text


async def test_where_no_helper_can_be_started_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_MODULE", "no_such_module")
    async with running() as inspector:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await look(inspector, ZIP)
        # Plain mail is examined nonetheless, and helpers come back by themselves.
        assert (await look(inspector, HEAD + TEXT)).parts == 1
        monkeypatch.undo()
        async with asyncio.timeout(20):
            while not inspector.pool.processes:
                await asyncio.sleep(0.05)
        assert kinds(await look(inspector, ZIP)) == set()


async def test_who_gives_up_waiting_frees_the_helper() -> None:
    async with running() as inspector:
        process = await helper(inspector)
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await look(inspector, ZIP)
        begun = time.monotonic()
        assert kinds(await look(inspector, ZIP)) == set()
        assert time.monotonic() - begun < 5


async def test_a_flood_of_overruns_does_not_hold_up_others_for_long() -> None:
    bomb = mail(("a.zip", packed.bomb(450, 2_000_000)))
    async with running(cpu_s=1, memory_mb=4000) as inspector:
        await helper(inspector)
        flood = [asyncio.create_task(look(inspector, bomb, WIDE, "203.0.113.9")) for _ in range(20)]
        # The first of them has had its turn.
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        begun = time.monotonic()
        assert kinds(await look(inspector, ZIP, source="192.0.2.1")) == set()
        # One that has begun, and a new process.
        assert time.monotonic() - begun < 8
        assert sum(task.done() for task in flood) <= 3
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_close_ends_helpers_at_once_and_whoever_waits_is_told() -> None:
    async with running(processes=2) as inspector:
        await look(inspector, ZIP)
        async with asyncio.timeout(20):
            while len(inspector.pool.processes) < 2:
                await asyncio.sleep(0.02)
        pids = [process.pid for process in inspector.pool.processes.values()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        waiting = [asyncio.create_task(look(inspector, ZIP)) for _ in range(4)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        await inspector.close()
        assert time.monotonic() - begun < 1
        assert not any(psutil.pid_exists(pid) for pid in pids)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)


PARENT = """
import asyncio, os, sys
from services.content.inspector import Inspector
from services.content.settings import IsolationSettings
async def main():
    inspector = Inspector(IsolationSettings(processes=2))
    await inspector.start()
    while len(inspector.pool.processes) < 2:
        await asyncio.sleep(0.02)
    print(*(process.pid for process in inspector.pool.processes.values()), flush=True)
    await asyncio.sleep(100)
asyncio.run(main())
"""


def test_no_helper_outlives_a_killed_worker_even_one_that_is_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        helpers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(helpers) == 2
        helpers[0].suspend()
        parent.kill()
        _, alive = psutil.wait_procs(helpers, timeout=10)
        assert not alive


async def test_a_helper_has_nothing_of_ours_and_may_do_next_to_nothing() -> None:
    os.environ["GATEPOST_TEST_SECRET"] = "swordfish"
    try:
        with open("/dev/null", "rb") as leaked:  # noqa: PTH123
            os.set_inheritable(leaked.fileno(), True)
            async with running() as inspector:
                seen = psutil.Process((await helper(inspector)).pid)
                assert "GATEPOST_TEST_SECRET" not in seen.environ()
                links = [os.readlink(link) for link in Path(f"/proc/{seen.pid}/fd").iterdir()]  # noqa: PTH115
                assert sum(link.startswith("socket:") for link in links) == 1
                assert set(links) - {"/dev/null"} == {link for link in links if link.startswith("socket:")}
                assert seen.nice() >= 5
                for limit in (psutil.RLIMIT_CORE, psutil.RLIMIT_FSIZE, psutil.RLIMIT_NPROC):
                    assert seen.rlimit(limit) == (0, 0)
                assert seen.rlimit(psutil.RLIMIT_NOFILE)[1] <= 32
                assert seen.rlimit(psutil.RLIMIT_AS)[1] == 768_000_000
    finally:
        del os.environ["GATEPOST_TEST_SECRET"]


async def test_the_largest_message_never_holds_the_loop() -> None:
    data = HEAD + multipart(TEXT, attachment(os.urandom(18_000_000), "a.bin"))
    message = split_message(data)
    worst = 0.0

    async def measure() -> None:
        nonlocal worst
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0)
            worst = max(worst, time.thread_time() - begun)

    async with running() as inspector:
        await helper(inspector)
        watch = asyncio.create_task(measure())
        await asyncio.gather(*(inspector.inspect(data, message, RULES) for _ in range(2)))
        watch.cancel()
    # Of CPU time, so that the machine's other work does not count.
    assert worst < 0.05


async def test_zip_bombs_end_within_their_bounds() -> None:
    inner = packed.zipped({f"{number}.txt": bytes(900_000) for number in range(16)})
    for _ in range(3):
        inner = packed.zipped({f"{number}.zip": inner for number in range(16)})
    bombs = [
        mail(("42.zip", inner)),
        mail(("zeros.gz", zeros(150_000_000))),
        mail(("twice.gz", gzip.compress(zeros(150_000_000)))),
        mail(("many.zip", packed.zipped({f"{number}": b"" for number in range(5000)}))),
    ]
    async with running() as inspector:
        for bomb in bombs:
            seen = await look(inspector, bomb)
            assert kinds(seen) & {FaultKind.ARCHIVE_EXCEEDED, FaultKind.OVERRUN}
            assert seen.attachments
