"""Owns the life of one child process in the foreground.

Input: a command line. Output: a running process with its log in a file.
On failure: ChildFailed with the end of the log; `stop` ends the whole process group and never raises.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_POLL_S = 0.05


class ChildFailed(Exception):
    """A child ended early or did not become ready in time."""


class Child:
    """A server that was started for this run."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._name = Path(argv[0]).name
        self._log = log
        self._stop_signal = stop_signal
        with log.open("ab") as out:
            # A session of its own: the terminal's Ctrl-C reaches the runner alone, which then stops all in order.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=None if env is None else {**os.environ, **env},
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], what: str, deadline_s: float = 30) -> None:
        """Return as soon as `ready()`; raises ChildFailed if the child ends or the deadline passes first."""
        give_up_at = time.monotonic() + deadline_s
        while not ready():
            if self._ended_within(_POLL_S):
                raise ChildFailed(f"{self._name} ended before {what}:\n{self.log_end()}")
            if time.monotonic() > give_up_at:
                raise ChildFailed(f"{self._name}: not {what} after {deadline_s:.0f} s:\n{self.log_end()}")

    def wait_for_port(self, port: int, deadline_s: float = 30) -> None:
        """Return as soon as the port of 127.0.0.1 takes connections."""
        self.wait_until(lambda: port_answers(port), f"answering on port {port}", deadline_s)

    def log_end(self) -> str:
        """Return the last 2,000 characters that the child wrote."""
        return self._log.read_text("utf-8", "replace")[-2000:]

    def stop(self, deadline_s: float = 30) -> None:
        """End the child, then whatever is left of its process group."""
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            if not self._ended_within(deadline_s):
                self._process.kill()
                self._process.wait()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def port_answers(port: int) -> bool:
    """Say whether a TCP connection to the port of 127.0.0.1 succeeds now."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
