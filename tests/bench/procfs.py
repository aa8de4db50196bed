"""Owns the reading of /proc: the process table and the machine's counters as a `Snapshot`, and what the machine is."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cpu import Process, Snapshot, parse_machine, parse_process

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def snapshot() -> Snapshot:
    """Read everything now; a process that ends while it is read is left out (its time is its parent's then)."""
    machine = parse_machine((_PROC / "stat").read_text())
    processes: dict[int, Process] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        process = parse_process(text)
        processes[process.pid] = process
    return Snapshot(processes, machine)


def machine_words() -> str:
    """Describe the machine in a line: CPUs, memory, system, kernel."""
    models = _values("/proc/cpuinfo", "model name")
    memory_kb = int(_values("/proc/meminfo", "MemTotal")[0].split()[0])
    system = _values("/etc/os-release", "PRETTY_NAME", "=")[0].strip('"')
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} × {model}, {memory_kb / 2**20:.0f} GB memory, {system}, Linux {platform.release()}"


def _values(path: str, key: str, separator: str = ":") -> list[str]:
    pairs = (line.partition(separator) for line in Path(path).read_text().splitlines())
    return [value.strip() for name, _, value in pairs if name.strip() == key]


@dataclass(frozen=True, slots=True)
class Command:
    """A running process and the words it was started with."""

    pid: int
    parent: int
    words: str


def commands(root: int) -> list[Command]:
    """Return a process and each of its descendants."""
    table = snapshot().processes
    family = {root}
    while more := {pid for pid, process in table.items() if process.parent in family} - family:
        family |= more
    return [Command(pid, table[pid].parent, _words(pid)) for pid in sorted(family & table.keys())]


def _words(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
