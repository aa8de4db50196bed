"""Owns `make bench-outward`: how fast a queue that is full already goes out, Gatepost's beside Postfix's own.

Input: the command line. Output: `docs/performance.md` with the new figures; progress on standard output.
Each system has the same messages in its queue before the clock runs. It runs from the first message at the sink to the
last, so that no start of a process is measured.
On failure: status 1 with the reason; everything that was started is stopped, also on Ctrl-C and SIGTERM.
"""

import argparse
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from shared.broker.publish import PublishError
from shared.logs import configure_logs
from shared.settings import LogSettings
from tests.bench.cpu import ProcessGone, spent_s
from tests.bench.lab.child import ChildFailed
from tests.bench.lab.interrupt import end_in_order
from tests.bench.lab.mail import new_key, signed_message
from tests.bench.lab.ports import Ports
from tests.bench.lab.profiler import Profiler, ProfilerFailed
from tests.bench.lab.sink import Sink
from tests.bench.lab.source import GeneratorFailed
from tests.bench.measure import other_load, wait_for_rest
from tests.bench.peer import Lab, NotProved, Roles
from tests.bench.procfs import TICKS_PER_S, machine_words, snapshot
from tests.bench.profile import own_shares, own_time_table
from tests.bench.queues.full import FullQueue
from tests.bench.queues.gatepost import GatepostQueue
from tests.bench.queues.postfix import PostfixQueue
from tests.bench.report import Case, Facts, Run, count_words, place, render
from tests.bench.run import DOCUMENT, SIZES

_NAME = "bench-outward"
_DEADLINE_S = 600.0
_FAILURES = (
    *(ChildFailed, GeneratorFailed, NotProved, ProcessGone, ProfilerFailed, PublishError),
    *(OSError, subprocess.SubprocessError),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    options = _options(arguments)
    if os.geteuid() != 0:
        print("bench: needs root: Postfix starts only as root", file=sys.stderr)
        return 1
    end_in_order()
    configure_logs("bench", LogSettings(level="warning", format="text"))
    try:
        generated = _bench(options)
    except KeyboardInterrupt:
        print("bench: interrupted, all stopped", file=sys.stderr)
        return 130
    except _FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{generated}\n")
    if options.write:
        DOCUMENT.write_text(place(DOCUMENT.read_text("utf-8"), generated, _NAME), "utf-8")
        print(f"bench: written to {DOCUMENT}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.outward", description="Measure delivery from a full queue beside Postfix's."
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="OCTETS")
    parser.add_argument("--only", choices=("postfix", "gatepost"))
    parser.add_argument("--processes", type=int, default=1, help="delivery processes of Gatepost")
    parser.add_argument("--prefetch", type=int, help="other than the service's default")
    parser.add_argument("--no-profile", dest="profile", action="store_false", help="leave the profile out")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/performance.md alone")
    parser.add_argument("--keep-files", action="store_true", help="leave logs and profiles in /var/tmp")
    return parser.parse_args(arguments)


def _bench(options: argparse.Namespace) -> str:
    with ExitStack() as undo:
        # A real disk, as for `make bench`.
        folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-", dir="/var/tmp"))
        folder.chmod(0o755)
        if not options.keep_files:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
        ports = Ports()
        lab = Lab(folder, ports, dns_port=0, clamd_port=0, sink_port=ports.take())
        systems = _systems(lab, options)
        for system in systems:
            undo.callback(system.stop)
            _say(f"starting {system.title}")
            system.start()
        bench = _Bench(lab, _messages(options.sizes, folder), options)
        runs = list(bench.rounds(systems))
        profiles = [
            bench.profile(system) for system in systems if options.profile and isinstance(system, GatepostQueue)
        ]
        facts = Facts(
            date=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            machine=machine_words(),
            versions=dict(sorted((name, version) for one in systems for name, version in one.versions().items())),
            load=f"{options.rounds} alternating rounds; per round and system a queue of "
            + count_words(dict.fromkeys(options.sizes, options.messages)),
            audits={system.title: system.audit(bench.sent[system.title]) for system in systems},
        )
        return "\n\n".join([render(runs, facts), *profiles])


def _systems(lab: Lab, options: argparse.Namespace) -> list[FullQueue]:
    makers: dict[str, Callable[[], FullQueue]] = {
        "postfix": lambda: PostfixQueue(lab),
        "gatepost": lambda: GatepostQueue(lab, processes=options.processes, prefetch=options.prefetch),
    }
    return [make() for name, make in makers.items() if options.only in (None, name)]


def _messages(sizes: Sequence[int], folder: Path) -> dict[int, Path]:
    key = new_key()
    files = {size: folder / f"message-{size}" for size in sizes}
    for size, file in files.items():
        file.write_bytes(signed_message(size, key))
    return files


class _Bench:
    """The measuring, and how many messages each system has been given."""

    def __init__(self, lab: Lab, messages: Mapping[int, Path], options: argparse.Namespace) -> None:
        self._lab = lab
        self._messages = messages
        self._count: int = options.messages
        self._rounds: int = options.rounds
        self.sent: Counter[str] = Counter()

    def rounds(self, systems: Sequence[FullQueue]) -> Iterator[Run]:
        for system in systems:
            _say(f"warming up {system.title}")
            for size in self._messages:
                self._measure(system, size, 0, max(1, self._count // 10))
        for number in range(self._rounds):
            for size in self._messages:
                # Each round begins with another system, so that none always follows the same one.
                start = number % len(systems)
                for system in [*systems[start:], *systems[:start]]:
                    run = self._measure(system, size, number, self._count)
                    _say(f"round {number + 1}, {run.case.title}, {run.peer}: {run.rate:.0f}/s, {run.cpu_ms:.2f} ms")
                    yield run

    def profile(self, system: FullQueue) -> str:
        """Return the table of a further run of each size, which is looked at and not timed."""
        shares: dict[str, dict[str, float]] = {}
        for size in self._messages:
            with Profiler(self._lab.folder / f"profile-{size}") as profiler:
                run = self._measure(system, size, 0, self._count, lambda roles: profiler.look_at(roles["delivery"][0]))
            shares[run.case.title] = own_shares(profiler.text())
        return own_time_table(shares)

    def _measure(
        self, system: FullQueue, size: int, number: int, count: int, look: Callable[[Roles], None] | None = None
    ) -> Run:
        with closing(Sink(self._lab.sink_port)) as sink:
            system.fill(self._messages[size], count)
            self.sent[system.title] += count
            # What the filling left to be written is no part of the delivering.
            os.sync()
            with system.delivering() as working:
                roles = {**working, "sink": [sink.pid]}
                sink.wait_for(1, _DEADLINE_S)
                if look is not None:
                    look(working)
                before, began, done = snapshot(), time.perf_counter(), sink.count
                sink.wait_for(count, _DEADLINE_S)
                seconds = time.perf_counter() - began
                # Queue files and acknowledgements of the last messages.
                wait_for_rest(working)
                after = snapshot()
            if sink.count != count:
                raise NotProved(f"{system.title}: {sink.count - count} messages more than were queued")
        cpu_s = spent_s(before, after, roles, TICKS_PER_S)
        load = other_load(before, after, cpu_s)
        return Run(number, system.title, Case(size), count - done, seconds, cpu_s, load)


def _say(words: str) -> None:
    print(f"bench: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
