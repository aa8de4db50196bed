"""Owns the third peer: Gatepost itself with SPF, DKIM, DMARC and ClamAV, all its stages on this machine.

Output: as Postfix with Rspamd: SMTP on a port of 127.0.0.1, malware refused in the session, the rest to the sink.
Input: `python -m infra.local.run`, the same one-machine run that `make run` starts; `gatepost_config/`
holds its policy and its overrides, into which the bench's ports are filled.
On failure: ChildFailed; NotProved when a check is missing.
"""

import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from tests.bench.lab.child import Child
from tests.bench.lab.packages import gatepost_versions
from tests.bench.peer import Lab, NotProved, Roles
from tests.bench.procfs import Command, commands

_ROOT = Path(__file__).parents[3]
_TEMPLATES = Path(__file__).parent / "gatepost_config"
_START_S = 180.0
_RESULTS = ("spf=pass", "dkim=pass", "dmarc=pass")
# What a command line must contain to be a part of its own; the rest of the tree is the supervisor's.
_PARTS = {
    "edge": "services.edge",
    "content": "services.content",
    "delivery": "services.delivery",
    "recorder": "services.console",
    "broker": "beam.smp",
}
_PORT_NAMES = [
    *("mx", "submission", "submissions", "amqp", "management", "dist", "epmd"),
    *("edge_health", "content_health", "delivery_health", "console_health"),
]


class Gatepost:
    """Edge, content, delivery, the recorder and their broker."""

    title = "Gatepost"
    refuses_malware = True

    def __init__(self, lab: Lab) -> None:
        ports = {f"{name}_port": lab.ports.take() for name in _PORT_NAMES}
        self.port = ports["mx_port"]
        self._folder = lab.folder / "gatepost"
        self._values = {
            "dns_port": str(lab.dns_port),
            "clamd_port": str(lab.clamd_port),
            "sink_port": str(lab.sink_port),
            **{name: str(port) for name, port in ports.items()},
        }
        self._proved = ""
        self._child: Child | None = None

    def start(self) -> None:
        """Return when SMTP is answered; infra.local opens it last."""
        settings = self._folder / "settings"
        settings.mkdir(parents=True)
        policy = self._folder / "policy.toml"
        self._fill(_TEMPLATES / "policy.toml", policy)
        for template in sorted((_TEMPLATES / "settings").glob("*.toml")):
            self._fill(template, settings / template.name)
        env = {
            "GATEPOST_DATA": str(self._folder / "data"),
            "GATEPOST_POLICY": str(policy),
            "GATEPOST_SETTINGS": str(settings),
        }
        # As Ctrl-C would end `make run`.
        argv = [sys.executable, "-m", "infra.local.run"]
        self._child = Child(argv, self._folder / "run.log", env=env, cwd=_ROOT, stop_signal=signal.SIGINT)
        self._child.wait_for_port(self.port, _START_S)

    def stop(self) -> None:
        """End all of it, the broker too."""
        if self._child is not None:
            self._child.stop(deadline_s=60)

    def roles(self) -> Roles:
        """Name its services by their command lines."""
        assert self._child is not None, "not started"
        found = commands(self._child.pid)
        roles = {role: _topmost(found, part) for role, part in _PARTS.items()}
        return {**{role: pids for role, pids in roles.items() if pids}, "supervisor": [self._child.pid]}

    def prove(self, delivered: str) -> None:
        """Find the three results in the delivered message's Authentication-Results field."""
        unfolded = re.sub(r"\n[ \t]+", " ", delivered)
        fields = [line for line in unfolded.splitlines() if line.startswith("Authentication-Results:")]
        if not any(all(result in field for result in _RESULTS) for field in fields):
            raise NotProved(f"no Authentication-Results with {_RESULTS} in:\n{delivered[:2000]}")
        self._proved = fields[0]

    def audit(self, messages: int) -> str:
        """Repeat what was proved before the measuring."""
        if not self._proved:
            raise NotProved("nothing was proved")
        return f"`{self._proved}` on a message that arrived; EICAR was refused in the session"

    def versions(self) -> Mapping[str, str]:
        """Name the commit of this checkout and the broker."""
        return gatepost_versions()

    def _fill(self, template: Path, target: Path) -> None:
        target.write_text(Template(template.read_text("utf-8")).substitute(self._values), "utf-8")
        # Settings hold secrets: a service refuses to start when others may read them.
        target.chmod(0o600)


def _topmost(found: Sequence[Command], part: str) -> list[int]:
    """Leave out the children: they count with their parent, and may end at any moment."""
    matching = {command.pid for command in found if part in command.words}
    return [command.pid for command in found if command.pid in matching and command.parent not in matching]
