"""Owns the beginning of the way: Postfix's `smtp-source` for the load, smtplib for a single message with its reply.

On failure: GeneratorFailed with what smtp-source said; smtp-source stops at the first reply it did not expect.
"""

import smtplib
import subprocess
from pathlib import Path

from tests.bench.peer import RECIPIENT, SENDER

SESSIONS = 20
_HELO = "client.bench.test"


class GeneratorFailed(Exception):
    """Not every message was taken."""


class Generator:
    """An smtp-source under way."""

    def __init__(self, port: int, message: Path, *, messages: int, kept: bool) -> None:
        """kept: many messages per connection, else a new connection for each."""
        argv = ["/usr/sbin/smtp-source", "-s", str(SESSIONS), "-m", str(messages), "-M", _HELO]
        argv += ["-f", SENDER, "-t", RECIPIENT, "-F", str(message)]
        if kept:
            argv.append("-d")
        argv.append(f"127.0.0.1:{port}")
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def finish(self, deadline_s: float) -> None:
        """Return when smtp-source has ended well."""
        said, _ = self._process.communicate(timeout=deadline_s)
        if self._process.returncode != 0:
            raise GeneratorFailed(said.decode("utf-8", "replace").strip() or f"status {self._process.returncode}")

    def stop(self) -> None:
        """End smtp-source if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def send_one(port: int, message: bytes) -> int:
    """Send one message (LF line ends) and return the code that answered its end of data."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname=_HELO, timeout=60) as client:
        client.ehlo_or_helo_if_needed()
        client.mail(SENDER)
        client.rcpt(RECIPIENT)
        code, _ = client.data(message.replace(b"\n", b"\r\n"))
    return code
