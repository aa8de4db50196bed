"""A real Redis for tests, on a free port, that keeps nothing on disk.

    async def test_x(redis_server: RedisServer) -> None:     # one per test, empty
        state = RedisState(redis_server.settings)
        redis_server.kill(); redis_server.start()            # on the same port, and empty again
        redis_server.freeze(); redis_server.thaw()           # it takes connections, and answers nothing
        redis_server.run("flushall")                         # what redis-cli would do

`options` are further lines of its configuration.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from infra.local.ports import free_ports
from shared.settings import RedisSettings

_READY_S = 20.0


class RedisServer:
    """A redis-server that can be started, stopped, killed and started again."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self._folder = folder
        self.port = free_ports(1)[0]
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> RedisSettings:
        """What a service needs to reach it."""
        return RedisSettings(port=self.port)

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        lines = ["bind 127.0.0.1", f"port {self.port}", f"dir {self._folder}", 'save ""', "appendonly no"]
        file = self._folder / "redis.conf"
        file.write_text("\n".join([*lines, *self._options, ""]))
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(["redis-server", str(file)], stdin=subprocess.DEVNULL, stdout=log)
        give_up_at = time.monotonic() + _READY_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.monotonic() < give_up_at, "Redis does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again, empty."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Let it take connections, but answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def run(self, *command: str) -> str:
        """Return the answer to one command, as redis-cli prints it."""
        ran = subprocess.run(["redis-cli", "-p", str(self.port), *command], capture_output=True, check=True, timeout=10)
        return ran.stdout.decode().strip()

    def _answers(self) -> bool:
        """Whether it has an answer to PING; "not without a password" is one, too."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(20)
