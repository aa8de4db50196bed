"""Owns py-spy as it looks at one Python process: which function is on top of the stack, many times a second.

Output: py-spy's raw form, a line per stack with how often it was seen. The process looked at is slowed by it.
On failure: ProfilerFailed with what py-spy said.
"""

import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

_LOOKS_PER_S = 200
_END_S = 30.0


class ProfilerFailed(Exception):
    """There is no profile."""


class Profiler:
    """A look at one process, from `look_at` to the end of a `with`."""

    def __init__(self, file: Path) -> None:
        """file: where py-spy writes what it saw."""
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Profiler":
        return self

    def look_at(self, pid: int) -> None:
        """Begin. What C code does within a Python function (sending, say) is named apart."""
        argv = [str(Path(sys.executable).with_name("py-spy")), "record", "--native", "--pid", str(pid)]
        argv += ["--function", "--rate", str(_LOOKS_PER_S), "--format", "raw", "--output", str(self._file)]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def text(self) -> str:
        """Return what was seen."""
        return self._file.read_text("utf-8", "replace")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is None:
            return
        # It also ends by itself, with the process that it looks at.
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=_END_S)
        if error is None and not self._file.exists():
            raise ProfilerFailed(said.decode("utf-8", "replace").strip())
