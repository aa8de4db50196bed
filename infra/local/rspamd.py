"""A private Rspamd on loopback, for `make run` and the tests (I/O: processes and files).

Owns: one Rspamd with one worker that scans and one that learns, in the foreground, with the rules of infra/rspamd;
root's runs as the user _rspamd.
Input: `RspamdSettings`. Output: Rspamd's HTTP on two ports of 127.0.0.1; it fetches nothing from outside. Without
nameservers it asks no DNS; without Redis it learns nothing.
On failure: RspamdFailed with the end of the log. `stop` and `kill` never raise.

As a process: python -m infra.local.rspamd SETTINGS.toml  (the fields of RspamdSettings; SIGTERM ends it in order)
"""

import contextlib
import http.client
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from infra.local.foreground import run_until_told
from infra.local.process_tree import kill_tree
from infra.local.server_log import log_end, written_to
from shared.settings import Section, read_private_toml

_RULES = Path(__file__).parents[1] / "rspamd"
_USER = "_rspamd"
# A first start compiles the list of top-level domains, which takes some six seconds of one core; later ones have it.
_READY_S = 120.0
_STOP_S = 10.0
_POLL_S = 0.05
# Smaller lists are compiled in a moment, and some of them get another name at each start: kept, they would pile up.
_WORTH_KEEPING = 200_000

# The line that every antispam engine takes for spam, in two pieces, so that none takes this file for it.
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


class RspamdFailed(Exception):
    """An Rspamd that ended early or did not become ready in time."""


class RspamdSettings(Section):
    """port: on 127.0.0.1, of the worker that scans; controller_port: of the one that learns, if told the password.

    nameservers: `address:port`; none: nothing asks DNS, so no block lists. redis: `host:port`, where it keeps what it
    learned; empty: it learns nothing. compiled: a folder that keeps what was compiled for the next start; None: nothing
    is kept. log: None leaves it on the caller's output.
    """

    port: int
    controller_port: int
    password: str
    nameservers: list[str] = Field([], max_length=8)
    redis: str = ""
    compiled: Path | None = None
    log: Path | None = None


class Rspamd:
    """An Rspamd that can be started, stopped, killed and started again.

    rules: files beside those of infra/rspamd, by path.
    """

    def __init__(
        self, settings: RspamdSettings, *, own_group: bool = True, rules: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings
        self._rules = rules or {}
        self._own_group = own_group
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    @property
    def pid(self) -> int | None:
        """Of its first process, which is its group's, too."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start Rspamd, without waiting for it. Raises OSError where it is not installed."""
        if self._folder is None:
            self._folder = _prepare_folder(self.settings, self._rules)
        user = _USER if os.geteuid() == 0 else None
        with written_to(self.settings.log) as out:
            self._process = subprocess.Popen(
                _command(self.settings, self._folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                # The user _rspamd need not be able to enter a checkout below /root.
                cwd=self._folder,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                start_new_session=self._own_group,
            )

    def wait_ready(self, deadline_s: float = _READY_S) -> None:
        """Return once it scans and can be taught. Raises RspamdFailed."""
        assert self._process is not None
        give_up_at = time.monotonic() + deadline_s
        while not all(map(answers, (self.settings.port, self.settings.controller_port))):
            try:
                self._process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < give_up_at:
                    continue
            self.stop()
            raise RspamdFailed(f"Rspamd did not come up on port {self.settings.port}:\n{log_end(self.settings.log)}")

        self._keep_compiled()

    def wait_end(self) -> None:
        """Return when it has ended, for whatever reason."""
        if self._process is not None:
            self._process.wait()

    def terminate(self) -> None:
        """Tell it to end, without waiting."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """End it, within ten seconds, and remove its folder."""
        if self._process is not None:
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        self.kill()
        self._keep_compiled()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def kill(self) -> None:
        """End it and its workers at once (kill -9)."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                kill_tree(process.pid)
            process.wait()

    def _keep_compiled(self) -> None:
        if self._folder is not None and self.settings.compiled is not None:
            with contextlib.suppress(OSError):  # then it is compiled again
                copy_compiled(self._folder / "state", self.settings.compiled)


def answers(port: int) -> bool:
    """Whether an Rspamd on loopback answers `GET /ping`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _command(settings: RspamdSettings, folder: Path) -> list[str]:
    state = folder / "state"
    variables = {
        "BIND": "127.0.0.1",
        "PORT": settings.port,
        "CONTROLLER_PORT": settings.controller_port,
        "DNS": "on" if settings.nameservers else "off",
        "LEARNING": "on" if settings.redis else "off",
        "SECRETS": folder / "secrets",
        "LOCAL_CONFDIR": folder / "rules",
        **dict.fromkeys(("DBDIR", "RUNDIR", "LOGDIR"), state),
    }
    rspamd = shutil.which("rspamd") or "rspamd"
    return [
        *(rspamd, "--no-fork", "--config", str(folder / "rules" / "rspamd.conf")),
        *(f"--var={name}={value}" for name, value in variables.items()),
    ]


def _prepare_folder(settings: RspamdSettings, rules: Mapping[str, str]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gatepost-rspamd-", dir="/tmp"))
    shutil.copytree(_RULES, folder / "rules")
    for name, text in rules.items():
        path = folder / "rules" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    (folder / "state").mkdir()
    if settings.compiled is not None and settings.compiled.is_dir():
        copy_compiled(settings.compiled, folder / "state")
    # JSON's strings and lists are UCL's, too.
    password = json.dumps(settings.password)
    (secrets / "controller.inc").write_text(f"password = {password};\nenable_password = {password};\n")
    if settings.nameservers:
        (secrets / "dns.inc").write_text(f"nameserver = {json.dumps(settings.nameservers)};\n")
    if settings.redis:
        (secrets / "redis.inc").write_text(f"servers = {json.dumps(settings.redis)};\n")
    if os.geteuid() == 0:
        owner = pwd.getpwnam(_USER)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    return folder


def copy_compiled(source: Path, target: Path) -> None:
    """Copy large compiled lists that are not there yet, each whole or not at all."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in source.glob("*.hsmp"):
        there = target / path.name
        # Rspamd, which reads hostile mail, must not have us read what a link of its leads to.
        if not there.exists() and not path.is_symlink() and path.stat().st_size >= _WORTH_KEEPING:
            draft = target / f".{path.name}.{os.getpid()}"
            shutil.copyfile(path, draft, follow_symlinks=False)
            draft.replace(there)


def main() -> None:
    """Run Rspamd until SIGTERM or SIGINT (exit 0), or until it ends by itself (exit 1)."""
    run_until_told(Rspamd(RspamdSettings.model_validate(read_private_toml(Path(sys.argv[1]))), own_group=False))


if __name__ == "__main__":
    main()
