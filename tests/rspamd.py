"""A real Rspamd for tests: Debian's rules as Gatepost sets them, nothing of the outside.

    async def test_x(rspamd: Rspamd) -> None:        # one per test session
        AntispamSettings(addresses=[rspamd.address])
        rspamd.kill(); rspamd.start()                # between tests it is always up again
        rspamd.freeze(); rspamd.thaw()               # it takes connections, and answers nothing

The session's knows no Redis, and so learns nothing; with `redis` (`host:port`) it learns. `rules` are files of its own
beside infra/rspamd, by path, such as {"local.d/classifier-bayes.conf": "min_learns = 1;"}. `GTUBE` is the line that
every antispam engine takes for spam.
"""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from infra.local import rspamd as local
from infra.local.ports import free_ports

GTUBE = local.GTUBE
# What takes Rspamd several seconds of its first start: kept from one test session to the next.
COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "rspamd-compiled"


class Rspamd:
    """An Rspamd on free ports. nameserver: `address:port`; without, nothing asks DNS."""

    def __init__(
        self,
        folder: Path,
        *,
        nameserver: str = "",
        redis: str = "",
        rules: Mapping[str, str] | None = None,
        compiled: Path = COMPILED,
    ) -> None:
        self.port, self.controller_port = free_ports(2)
        self.password = "the-password-of-a-test"
        self._engine = local.Rspamd(
            local.RspamdSettings(
                port=self.port,
                controller_port=self.controller_port,
                password=self.password,
                nameservers=[nameserver] if nameserver else [],
                redis=redis,
                compiled=compiled,
                log=folder / "rspamd.log",
            ),
            rules=rules or {},
        )
        self.is_up = False

    @property
    def address(self) -> str:
        """Of the worker that scans."""
        return f"127.0.0.1:{self.port}"

    @property
    def controller_url(self) -> str:
        """Of the worker that learns, from whoever knows the password."""
        return f"http://127.0.0.1:{self.controller_port}"

    @property
    def pid(self) -> int | None:
        """Of its first process; its workers are of the same process group."""
        return self._engine.pid

    def start(self) -> None:
        """Start it and wait until it scans. A machine's first start takes some seconds, later ones half a second."""
        self._engine.start()
        self._engine.wait_ready()
        self.is_up = True

    def kill(self) -> None:
        """End it at once."""
        self._engine.kill()
        self.is_up = False

    def close(self) -> None:
        """End it at once, and remove what it has left."""
        self._engine.kill()
        self._engine.stop()
        self.is_up = False

    def freeze(self) -> None:
        """Let it take connections, but answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.pid is not None
        os.killpg(self.pid, number)
