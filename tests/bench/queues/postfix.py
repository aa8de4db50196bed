"""Owns Postfix's own delivery as it is measured: qmgr and smtp, from its `incoming` queue.

Input: an instance with Debian's defaults, TLS outward off as at Gatepost. Output: what it relays to the sink.
On failure: ChildFailed, GeneratorFailed; NotProved when its log tells of another number of messages.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.lab.packages import versions
from tests.bench.lab.source import Generator
from tests.bench.peer import Lab, NotProved, Roles
from tests.bench.peers.postfix import PostfixInstance
from tests.bench.queues.full import CONNECTIONS

_FILL_S = 600.0
_NO_QMGR = (r"(?m)^(qmgr .*)$", r"#\1")
# With no qmgr to say that the mail goes out as fast as it comes in, cleanup would wait a second for each message.
_NO_WAIT = (r"(?m)^(cleanup .*)$", r"\1\n  -o in_flow_delay=0")


class PostfixQueue:
    """A Postfix that runs without qmgr while its queue is filled, and as it should while it delivers."""

    title = "Postfix (qmgr, smtp)"

    def __init__(self, lab: Lab) -> None:
        extra = f"smtp_tls_security_level = none\ndefault_destination_concurrency_limit = {CONNECTIONS}\n"
        self._instance = PostfixInstance(lab, "postfix", extra)
        folder = lab.folder / "postfix"
        self._log = folder / "mail.log"
        self._services = folder / "etc" / "master.cf"
        self._delivering = self._services.read_text("utf-8")
        self._filling = re.sub(*_NO_WAIT, re.sub(*_NO_QMGR, self._delivering))

    def start(self) -> None:
        """Make its folders."""
        self._services.write_text(self._filling, "utf-8")
        self._instance.start()
        self._instance.stop()

    def stop(self) -> None:
        """End it."""
        self._instance.stop()

    def fill(self, message: Path, count: int) -> None:
        """Send a message to it so many times; with no qmgr, all stay in `incoming`."""
        with self._running(self._filling):
            generator = Generator(self._instance.port, message, messages=count, kept=True)
            try:
                generator.finish(_FILL_S)
            finally:
                generator.stop()

    @contextmanager
    def delivering(self) -> Iterator[Roles]:
        """Run with qmgr, which finds the messages at its start."""
        with self._running(self._delivering):
            yield {"postfix": [self._instance.pid]}

    def audit(self, messages: int) -> str:
        """Count the deliveries in its log."""
        sent = self._log.read_text("utf-8", "replace").count(" status=sent ")
        if sent != messages:
            raise NotProved(f"{self.title}: its log tells of {sent} deliveries, not {messages}")
        return f"its log holds `status=sent` for each of the {messages} messages"

    def versions(self) -> Mapping[str, str]:
        """Name Postfix."""
        return versions("postfix")

    @contextmanager
    def _running(self, services: str) -> Iterator[None]:
        self._services.write_text(services, "utf-8")
        self._instance.restart()
        try:
            yield
        finally:
            self._instance.stop()
