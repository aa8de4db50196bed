"""Owns the shared surroundings of a run from start to stop: DNS, clamd, messages and the two forms of the sink.

Output: a running `Lab`; leaving the context ends everything that was started and removes its files.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.lab import mail
from tests.bench.lab.clamav import Scanner
from tests.bench.lab.dns import NameServer
from tests.bench.lab.packages import versions
from tests.bench.lab.ports import Ports
from tests.bench.peer import Lab

# A real disk: where /tmp is in memory a queue that must survive a crash would cost nothing.
_PLACE = "/var/tmp"


@dataclass(frozen=True, slots=True)
class Setting:
    """The surroundings under way. messages: the file to send, by size."""

    lab: Lab
    name_server: NameServer
    scanner: Scanner
    messages: dict[int, Path]
    malware: bytes

    def roles(self) -> dict[str, Sequence[int]]:
        """Name the processes that work for every peer that asks them."""
        return {"clamd": [self.scanner.pid], "named": [self.name_server.pid]}

    def versions(self) -> dict[str, str]:
        """Name the software around the peers."""
        return versions("bind9", "clamav-daemon")


@contextmanager
def setting(sizes: Sequence[int], *, keep_files: bool) -> Iterator[Setting]:
    """Start DNS and clamd, write the messages. keep_files: leave logs and queues for a look afterwards."""
    with ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-", dir=_PLACE))
        folder.chmod(0o755)
        if not keep_files:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
        ports = Ports()
        lab = Lab(folder, ports, dns_port=ports.take(), clamd_port=ports.take(), sink_port=ports.take())
        key = mail.new_key()
        name_server = NameServer(lab.dns_port, mail.SELECTOR, key.public_base64)
        undo.callback(name_server.stop)
        name_server.start()
        scanner = Scanner(lab.clamd_port)
        undo.callback(scanner.stop)
        scanner.start()
        messages: dict[int, Path] = {}
        for size in sizes:
            messages[size] = folder / f"message-{size}"
            messages[size].write_bytes(mail.signed_message(size, key))
        yield Setting(lab, name_server, scanner, messages, mail.malware_message(key))
