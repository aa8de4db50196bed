"""A private RabbitMQ node on loopback, for `make run` and the tests (I/O: processes and files).

Owns: one node with data, configuration, cookie and epmd under one folder, run by the present user, in the foreground.
Input: `NodeSettings`. Output: AMQP and management API on two ports of 127.0.0.1; no user `guest`, one administrator.
On failure: NodeFailed with the end of the node's log. `stop` and `kill` end the node and its epmd, and never raise.

As a process: python -m infra.local.rabbitmq SETTINGS.toml  (the fields of NodeSettings; SIGTERM ends it in order)
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from infra.local.foreground import run_until_told
from infra.local.ports import is_listening
from infra.local.process_tree import kill_tree
from infra.local.server_log import log_end, written_to
from shared.settings import Section, read_private_toml

# Debian's /usr/sbin/rabbitmq-server changes to the user rabbitmq; the script that it calls does not.
_BIN = Path("/usr/lib/rabbitmq/bin")
_NODE_NAME = "gatepost@localhost"
_READY_S = 90.0
_STOP_S = 30.0
_POLL_S = 0.05

_CONFIGURATION = """\
# Written by infra/local/rabbitmq.py at each start.
listeners.tcp.1 = 127.0.0.1:{amqp_port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
default_user = {admin_user}
default_pass = {admin_password}
default_user_tags.administrator = true
auth_mechanisms.1 = PLAIN
# The largest message policy allows is 100 MiB; 4.x takes 16 MiB by default and closes the channel on more.
max_message_size = 134217728
# The default of 50 MB is gone within one burst of mail; below this, publishers are held back and edge says 451.
disk_free_limit.absolute = {disk_free_limit}
vm_memory_high_watermark.relative = 0.4
# The default of 512 MiB wants three times that in memory.
raft.wal_max_size_bytes = 67108864
log.console = true
log.console.level = info
log.console.use_colors = off
log.file = false
"""


class NodeFailed(Exception):
    """A node that ended early or did not become ready in time."""


class NodeSettings(Section):
    """Where a node lives. data: its folder, for it alone. log: for its output; None leaves it on the caller's."""

    data: Path
    amqp_port: int
    management_port: int
    dist_port: int
    epmd_port: int
    admin_user: str = "admin"
    admin_password: str
    log: Path | None = None
    disk_free_limit: str = "1GB"

    @property
    def management_url(self) -> str:
        """The address of the RabbitMQ console and its API."""
        return f"http://127.0.0.1:{self.management_port}"


@dataclass(slots=True)
class _Processes:
    epmd: subprocess.Popen[bytes]
    server: subprocess.Popen[bytes]


class Node:
    """A node that can be started, stopped, killed and started again; its data stays."""

    def __init__(self, settings: NodeSettings, *, own_group: bool = True) -> None:
        self.settings = settings
        self._own_group = own_group
        self._running: _Processes | None = None
        self._environment = _environment(settings)

    def start(self) -> None:
        """Start epmd and the node, without waiting for it. Raises OSError where RabbitMQ is not installed."""
        _write_files(self.settings)
        with written_to(self.settings.log) as out:
            # An epmd of our own, in the foreground: the one that Erlang would start by itself outlives the node.
            epmd = self._spawn(["epmd", "-port", str(self.settings.epmd_port), "-address", "127.0.0.1"], out)
            self._running = _Processes(epmd, epmd)
            self._wait_until_listening(self.settings.epmd_port, time.monotonic() + 10)
            self._running.server = self._spawn([str(_BIN / "rabbitmq-server")], out)

    def wait_ready(self, deadline_s: float = _READY_S) -> None:
        """Return once AMQP and the management API take connections. Raises NodeFailed."""
        give_up_at = time.monotonic() + deadline_s
        # The AMQP listener opens last, when all queues have recovered.
        for port in (self.settings.management_port, self.settings.amqp_port):
            self._wait_until_listening(port, give_up_at)

    @property
    def pid(self) -> int:
        """The id of the node's first process; it has descendants. Raises LookupError while it does not run."""
        if self._running is None:
            raise LookupError("the node does not run")
        return self._running.server.pid

    def wait_end(self) -> None:
        """Return when the node has ended, for whatever reason."""
        if self._running is not None:
            self._running.server.wait()

    def terminate(self) -> None:
        """Tell the node to end in order, without waiting; `wait_end` and `stop` do."""
        if self._running is not None:
            self._running.server.terminate()

    def stop(self) -> None:
        """End the node in order, within half a minute, then epmd."""
        if self._running is None:
            return
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._running.server.wait(_STOP_S)
        self.kill()

    def kill(self) -> None:
        """End all at once, as a power cut would (kill -9)."""
        running, self._running = self._running, None
        if running is None:
            return
        for process in (running.server, running.epmd):
            with contextlib.suppress(ProcessLookupError):
                if self._own_group:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    kill_tree(process.pid)
            process.wait()

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on this node and return what it prints. Raises CalledProcessError."""
        command = [str(_BIN / "rabbitmqctl"), "-q", "-n", _NODE_NAME, *arguments]
        return subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True).stdout

    def _spawn(self, command: list[str], out: IO[bytes] | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=self._environment,
            cwd=self.settings.data,
            start_new_session=self._own_group,
        )

    def _wait_until_listening(self, port: int, give_up_at: float) -> None:
        assert self._running is not None
        while not is_listening(port):
            try:
                self._running.server.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < give_up_at:
                    continue
            self.kill()
            raise NodeFailed(f"RabbitMQ did not come up on port {port}:\n{log_end(self.settings.log)}")


def _environment(settings: NodeSettings) -> dict[str, str]:
    data = settings.data.absolute()
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "LANG": "C.UTF-8",
        # The Erlang cookie lives in HOME.
        "HOME": str(data),
        # Nothing of the host's own RabbitMQ is read.
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_NODENAME": _NODE_NAME,
        "RABBITMQ_LOG": "info,-color",
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(data / "generated"),
        "RABBITMQ_DIST_PORT": str(settings.dist_port),
        "ERL_EPMD_PORT": str(settings.epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP_BYTES": "0",
        # Two schedulers that do not spin: the machine's cores belong to the stages, too.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
        ),
    }


def _write_files(settings: NodeSettings) -> None:
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (settings.data / "enabled_plugins").write_text("[rabbitmq_management].\n")
    configuration = settings.data / "rabbitmq.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(_CONFIGURATION.format(**settings.model_dump()))


def main() -> None:
    """Run a node until SIGTERM or SIGINT (exit 0), or until it ends by itself (exit 1)."""
    run_until_told(Node(NodeSettings.model_validate(read_private_toml(Path(sys.argv[1]))), own_group=False))


if __name__ == "__main__":
    main()
