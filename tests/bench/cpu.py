"""PURE. Owns the arithmetic of CPU time: from the kernel's process table to milliseconds per part.

Input: the text of /proc/<pid>/stat and /proc/stat. Output: CPU seconds per role, children that ended included.
Standards: proc(5).
On failure: ValueError for text that is no stat line, ProcessGone when a role's root process ended meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class ProcessGone(Exception):
    """A process that was to be measured does not exist any more."""


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table. ticks: own time and that of every child that ended and was waited for."""

    pid: int
    parent: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Ticks of all CPUs since boot: at work, idle, and taken away by the hypervisor."""

    busy: int
    idle: int
    stolen: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All processes and the machine at one moment."""

    processes: Mapping[int, Process]
    machine: Machine


def parse_process(text: str) -> Process:
    """Read a /proc/<pid>/stat line; the command name may hold spaces and parentheses itself."""
    head, closed, rest = text.rpartition(")")
    fields = rest.split()
    if not closed or len(fields) < 15:
        raise ValueError(f"not a stat line: {text[:80]!r}")
    # proc(5): state is field 3, ppid 4, utime 14, stime 15, cutime 16, cstime 17, counted from 1.
    return Process(int(head.partition(" ")[0]), int(fields[1]), sum(int(field) for field in fields[11:15]))


def parse_machine(text: str) -> Machine:
    """Read the first line of /proc/stat."""
    fields = text.partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        raise ValueError(f"not a cpu line: {text[:80]!r}")
    user, nice, system, idle, iowait, irq, softirq, steal = (int(field) for field in fields[1:9])
    return Machine(user + nice + system + irq + softirq, idle + iowait, steal)


def role_ticks(snapshot: Snapshot, roles: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Sum each role's trees. A tree that is itself the root of a role counts there alone."""
    role_of = {root: role for role, roots in roles.items() for root in roots}
    missing = [f"{role} ({root})" for root, role in role_of.items() if root not in snapshot.processes]
    if missing:
        raise ProcessGone(", ".join(missing))
    ticks = dict.fromkeys(roles, 0)
    for process in snapshot.processes.values():
        role = _role(process, snapshot.processes, role_of)
        if role is not None:
            ticks[role] += process.ticks
    return ticks


def spent_s(
    before: Snapshot, after: Snapshot, roles: Mapping[str, Sequence[int]], ticks_per_s: int
) -> dict[str, float]:
    """Return the CPU seconds of each role between two snapshots."""
    first, last = role_ticks(before, roles), role_ticks(after, roles)
    return {role: (last[role] - first[role]) / ticks_per_s for role in roles}


def _role(process: Process, processes: Mapping[int, Process], role_of: Mapping[int, str]) -> str | None:
    seen: set[int] = set()
    at: Process | None = process
    # A table read process by process may be inconsistent: a pid used again could close a circle.
    while at is not None and at.pid not in seen:
        if at.pid in role_of:
            return role_of[at.pid]
        seen.add(at.pid)
        at = processes.get(at.parent)
    return None
