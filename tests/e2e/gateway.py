"""The whole gateway as `make run` starts it, with a data folder and ports of its own."""

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import structlog
from typer.testing import CliRunner

from infra.local.layout import REPOSITORY, Layout, layout_of
from infra.local.ports import free_ports, is_listening
from infra.local.rabbitmq import NodeSettings
from infra.local.rspamd import RspamdSettings
from services.console.cli.main import app
from services.console.settings import ConsoleSettings
from services.edge.settings import EdgeSettings
from shared.settings import load_settings
from tests.rspamd import COMPILED

_UP_WITHIN_S = 120.0
_DOWN_WITHIN_S = 60.0
_UP = "Ctrl-C ends all of it."

_OVERRIDES = {
    "rabbitmq": "amqp_port = {}\nmanagement_port = {}\ndist_port = {}\nepmd_port = {}\n",
    "clamd": 'port = {}\ndatabase = "/nonexistent"\n',
    "rspamd": "port = {}\ncontroller_port = {}\n",
    "edge": "[health]\nport = {}\n[listeners.mx]\nport = {}\n[listeners.submission]\nport = {}\n"
    "[listeners.submissions]\nport = {}\n",
    "content": "[health]\nport = {}\n",
    "delivery": "[health]\nport = {}\n",
    "console": "[health]\nport = {}\n[web]\nport = {}\n",
}


class Gateway:
    """A gateway in a folder. Its output is in `folder`/out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._output = folder / "out"
        overrides = folder / "overrides"
        overrides.mkdir()
        for program, text in _OVERRIDES.items():
            (overrides / f"{program}.toml").write_text(text.format(*free_ports(text.count("{}"))))
        with (overrides / "rspamd.toml").open("a") as file:
            file.write(f'compiled = "{COMPILED}"\n')
        self.environment = {"GATEPOST_DATA": str(folder / "var"), "GATEPOST_SETTINGS": str(overrides)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def layout(self) -> Layout:
        return layout_of(self.environment)

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def edge(self) -> EdgeSettings:
        return load_settings(EdgeSettings, self.layout.settings_file("edge"), {})

    @property
    def console(self) -> ConsoleSettings:
        return load_settings(ConsoleSettings, self.layout.settings_file("console"), {})

    @property
    def port(self) -> int:
        """Of the listener mx."""
        return self.edge.listeners["mx"].port

    def begin(self) -> None:
        """Start it, and do not wait for it."""
        with self._output.open("wb") as out:
            self._process = self._run("infra.local.run", out)

    def start(self) -> None:
        self.begin()
        wait_until(lambda: _UP in self.output or self._has_ended(), _UP_WITHIN_S)
        assert not self._has_ended(), self.output

    def end_and_look(self, number: signal.Signals) -> None:
        """End it by a signal; it must exit 0 and leave no process and no open port behind."""
        assert self._process is not None
        ports = self._ports()
        self._process.send_signal(number)
        assert self._process.wait(_DOWN_WITHIN_S) == 0
        assert self.processes() == {}
        assert not any(map(is_listening, ports))

    def kill(self) -> None:
        """Kill the runner alone (kill -9)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def processes(self) -> dict[int, str]:
        """Return every process that belongs to this gateway, by its data folder in command line or environment."""
        ours = str(self._folder).encode()
        return {
            int(entry.name): _read(entry / "cmdline").replace(b"\0", b" ").decode()
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and int(entry.name) != os.getpid()
            if ours in _read(entry / "cmdline") or ours in _read(entry / "environ")
        }

    def demo(self) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "infra.local.demo"]
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)

    def gatepost(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command in this process: to begin one takes longer than most commands do."""
        logs = structlog.get_config()
        try:
            done = CliRunner().invoke(app, arguments, env=self._settings_of_command)
        finally:
            structlog.configure(**logs)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def gatepost_process(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command as a process of its own."""
        command = [sys.executable, "-m", "services.console.cli.main", *arguments]
        environment = {**os.environ, **self._settings_of_command}
        return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)

    @property
    def _settings_of_command(self) -> dict[str, str]:
        # Tables are as wide as the terminal.
        return {"GATEPOST_SETTINGS_FILE": str(self.layout.settings_file("console")), "COLUMNS": "220"}

    def control(self, *arguments: str) -> str:
        """Run supervisorctl."""
        file = self.layout.data / "supervisord.conf"
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    @contextmanager
    def without(self, program: str) -> Iterator[None]:
        """Stop a program for the length of a `with`."""
        assert "stopped" in self.control("stop", program)
        try:
            yield
        finally:
            assert "started" in self.control("start", program)

    def send(self, message: bytes, sender: str = "alice@sender.test", recipient: str = "demo@gatepost.test") -> str:
        """Send a mail; return the reply that decided about it."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.sender.test", timeout=60) as smtp:
            for code, text in (smtp.ehlo(), smtp.mail(sender), smtp.rcpt(recipient)):
                if code >= 300:
                    return f"{code} {text.decode()}"
            code, text = smtp.data(message)
            return f"{code} {text.decode()}"

    def is_running(self) -> bool:
        return self._process is not None and not self._has_ended()

    def _has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def _ports(self) -> list[int]:
        node = load_settings(NodeSettings, self.layout.settings_file("rabbitmq"), {})
        rspamd = load_settings(RspamdSettings, self.layout.settings_file("rspamd"), {})
        ports = [node.amqp_port, node.management_port, node.dist_port, node.epmd_port]
        return [*ports, rspamd.port, rspamd.controller_port, self.port]

    def _run(self, module: str, out: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=REPOSITORY,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until(holds: Callable[[], bool], deadline_s: float) -> None:
    give_up_at = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < give_up_at, "waited in vain"
        time.sleep(0.05)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
