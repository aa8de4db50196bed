"""Owns one measurement: a load through one peer to the sink, its time and its CPU by process.

Output: a `Run`. On failure: GeneratorFailed, TimeoutError, ProcessGone, NotProved when the count is not exact.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cpu import Snapshot, spent_s
from tests.bench.lab.sink import Sink
from tests.bench.lab.source import Generator
from tests.bench.peer import NotProved, Peer, Roles
from tests.bench.procfs import TICKS_PER_S, snapshot
from tests.bench.report import Case, Run

_DEADLINE_S = 600.0
_REST_LOOK_S = 0.25
_REST_SHARE = 0.1
_REST_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in one measurement."""

    round: int
    case: Case
    messages: int
    file: Path


def measure(peer: Peer, load: Load, sink: Sink, around: Roles) -> Run:
    """Send the load and account for it. around: the roles that serve every peer."""
    working: dict[str, Sequence[int]] = {**peer.roles(), **around}
    # smtp-source ends before the end, so its time is found with its parent's.
    roles = {**working, "sink": [sink.pid], "generator": [os.getpid()]}
    wait_for_rest(working)
    before, target = snapshot(), sink.count + load.messages
    seconds = send(peer, load, sink)
    wait_for_rest(working)
    after = snapshot()
    if sink.count != target:
        raise NotProved(f"{peer.title}: {sink.count - target} messages more than were sent")
    cpu_s = spent_s(before, after, roles, TICKS_PER_S)
    return Run(load.round, peer.title, load.case, load.messages, seconds, cpu_s, other_load(before, after, cpu_s))


def send(peer: Peer, load: Load, sink: Sink) -> float:
    """Return the seconds from the first connection until the sink has counted the last message."""
    target = sink.count + load.messages
    began = time.perf_counter()
    generator = Generator(peer.port, load.file, messages=load.messages, kept=bool(load.case.kept))
    try:
        generator.finish(_DEADLINE_S)
        sink.wait_for(target, _DEADLINE_S)
        return time.perf_counter() - began
    finally:
        generator.stop()


def wait_for_rest(roles: Roles) -> None:
    """Return when what remains to be done after the last message (events, queue files) has been done.

    At rest: less than a tenth of one CPU for a quarter of a second. Returns all the same after a minute.
    """
    give_up_at = time.monotonic() + _REST_DEADLINE_S
    last = snapshot()
    while time.monotonic() < give_up_at:
        # Not a wait for an event: the length of the look at the CPU.
        time.sleep(_REST_LOOK_S)
        now = snapshot()
        if sum(spent_s(last, now, roles, TICKS_PER_S).values()) < _REST_LOOK_S * _REST_SHARE:
            return
        last = now


def other_load(before: Snapshot, after: Snapshot, cpu_s: Mapping[str, float]) -> float:
    """Return the share of all CPUs that went elsewhere between two snapshots. cpu_s: what is accounted for."""
    first, last = before.machine, after.machine
    taken = (last.busy + last.stolen) - (first.busy + first.stolen)
    whole = taken + last.idle - first.idle
    return max(0.0, (taken - sum(cpu_s.values()) * TICKS_PER_S) / whole)
