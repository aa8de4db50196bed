"""Ends a process with all that it has started (I/O: /proc, signals)."""

import contextlib
import os
import signal
from pathlib import Path


def kill_tree(pid: int) -> None:
    """Kill a process and its descendants, the youngest first (kill -9). Raises ProcessLookupError if it is gone."""
    for child in _children(pid):
        with contextlib.suppress(ProcessLookupError):
            kill_tree(child)
    os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
