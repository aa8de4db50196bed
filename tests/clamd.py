"""A real clamd for tests, with the EICAR test signature alone, so that it starts in a moment.

    async def test_x(clamd: Clamd) -> None:      # one per test session
        reader, writer = await asyncio.open_connection("127.0.0.1", clamd.port)
        clamd.kill(); clamd.start()              # between tests it is always up again

`EICAR` holds the bytes of the test file.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local import clamd as local
from infra.local.ports import free_ports

EICAR = local.EICAR
SIGNATURE_NAME = local.SIGNATURE_NAME


class Clamd:
    """A clamd on a free port. socket, lines: see infra/local/clamd.py."""

    def __init__(self, folder: Path, socket: Path | None = None, lines: tuple[str, ...] = ()) -> None:
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        # A folder without signatures: only ours are loaded.
        self._engine = local.Clamd(
            local.ClamdSettings(port=self.port, database=folder, log=folder / "clamd.log", socket=socket, lines=lines)
        )
        self.is_up = False

    def start(self) -> None:
        """Start it and wait until it scans."""
        self._engine.start()
        self._engine.wait_ready()
        self.is_up = True

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop it where it is: connections are taken by the kernel, and answered by nobody. It may be killed meanwhile."""
        self._engine.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if self.is_up:
                self._engine.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._engine.kill()
        self.is_up = False
