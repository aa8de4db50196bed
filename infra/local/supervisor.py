"""The process manager's configuration (PURE): supervisord keeps the gateway's programs running.

Output: the text of supervisord.conf. Programs start all at once, each waits for what it needs by itself; they end in
the reverse of their order here, one after the other, so that the broker and the engines outlive the stages.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.layout import REPOSITORY, Layout

_STOP_WAIT_S = 40
_LOG_BYTES = "20MB"


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep. arguments: of the Python interpreter. environment: beside what the manager has."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def programs(layout: Layout, engines: Sequence[str]) -> tuple[Program, ...]:
    """Return the gateway's programs. engines: modules of infra.local, the broker first."""
    servers = (Program(name, ("-m", f"infra.local.{name}", str(layout.settings_file(name))), {}) for name in engines)
    services = (
        Program(name, ("-m", f"services.{name}"), {"GATEPOST_SETTINGS_FILE": str(layout.settings_file(name))})
        for name in ("console", "delivery", "content", "edge")
    )
    return (*servers, *services)


def configuration(layout: Layout, socket: Path, kept: tuple[Program, ...], user: str | None) -> str:
    """Return the whole file. socket: for supervisorctl. user: named only for root, who is asked for it."""
    sections = [
        _section(
            "supervisord",
            {
                "nodaemon": "true",
                "logfile": str(layout.logs / "supervisord.log"),
                "logfile_maxbytes": _LOG_BYTES,
                "logfile_backups": "2",
                "pidfile": str(layout.data / "supervisord.pid"),
                "childlogdir": str(layout.logs),
                **({"user": user} if user else {}),
            },
        ),
        _section("unix_http_server", {"file": str(socket), "chmod": "0700"}),
        _section("supervisorctl", {"serverurl": f"unix://{socket}"}),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    sections += [_program(layout, program, 10 * number) for number, program in enumerate(kept, 1)]
    return "\n".join(sections)


def _program(layout: Layout, program: Program, priority: int) -> str:
    environment = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **program.environment}
    return _section(
        f"program:{program.name}",
        {
            "command": " ".join(_quoted(part) for part in (sys.executable, *program.arguments)),
            "directory": str(REPOSITORY),
            "environment": ",".join(f"{name}={_quoted(value)}" for name, value in environment.items()),
            "priority": str(priority),
            "autorestart": "true",
            # Whatever ends is started again, for ever, with growing pauses where it ends at once.
            "startsecs": "2",
            "startretries": "1000000",
            "stopwaitsecs": str(_STOP_WAIT_S),
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": str(layout.logs / f"{program.name}.log"),
            "stdout_logfile_maxbytes": _LOG_BYTES,
            "stdout_logfile_backups": "3",
        },
    )


def _section(name: str, values: Mapping[str, str]) -> str:
    # A percent sign would begin an expression.
    lines = (f"{key} = {value.replace('%', '%%')}" for key, value in values.items())
    return "\n".join([f"[{name}]", *lines, ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
