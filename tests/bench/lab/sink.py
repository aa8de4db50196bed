"""Owns the end of the way: Postfix's `smtp-sink`, which takes every message and counts it.

Output: a running count that can be waited for; in its keeping form, the messages as they arrived.
On failure: TimeoutError when messages stay out.
"""

import os
import re
import subprocess
import threading
from pathlib import Path

from tests.bench.lab.child import port_answers

_COUNTER = re.compile(rb"mesg=(\d+)")
_BACKLOG = "200"


class Sink:
    """An smtp-sink whose counter is followed by a thread."""

    def __init__(self, port: int, keep_in: Path | None = None) -> None:
        """keep_in: a new folder, in which every message is appended to one file."""
        self._kept = None if keep_in is None else keep_in / "mail"
        argv = ["/usr/sbin/smtp-sink", "-c", "-u", "nobody"]
        if keep_in is not None:
            keep_in.mkdir()
            keep_in.chmod(0o777)
            argv += ["-D", str(self._kept)]
        argv += [f"127.0.0.1:{port}", _BACKLOG]
        self._count = 0
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()
        while not port_answers(port):
            if self._ended_within(0.02):
                raise OSError(f"smtp-sink ended with {self._process.returncode}")

    @property
    def pid(self) -> int:
        """The id of the running sink."""
        return self._process.pid

    @property
    def count(self) -> int:
        """Messages taken since the start."""
        return self._count

    def wait_for(self, count: int, deadline_s: float) -> None:
        """Return when so many messages have been taken since the start."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, deadline_s):
                raise TimeoutError(f"the sink has {self._count} of {count} messages after {deadline_s:.0f} s")

    def kept(self) -> str:
        """Return all messages so far; only in the keeping form."""
        assert self._kept is not None, "nothing is kept"
        return self._kept.read_text("utf-8", "replace")

    def close(self) -> None:
        """End the sink; its port is free afterwards."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _follow(self) -> None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        tail = b""
        while piece := os.read(descriptor, 65536):
            tail = (tail + piece)[-256:]
            # Counters end with a carriage return; what stands behind the last one may be half a number.
            found = _COUNTER.findall(tail[: tail.rfind(b"\r") + 1])
            if found:
                with self._changed:
                    self._count = int(found[-1])
                    self._changed.notify_all()
