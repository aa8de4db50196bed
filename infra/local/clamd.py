"""A private clamd on loopback, for `make run` and the tests (I/O: processes and files).

Owns: one clamd on one TCP port (and on a socket, if one is asked for), in the foreground, with the limits of
infra/clamav/clamd.conf; root's runs as the user clamav.
Input: `ClamdSettings`. Output: clamd's protocol. Without a complete database (main and daily) in the database folder it
knows the EICAR test signature alone; `has_full_database` tells.
On failure: ClamdFailed with the end of the log. `stop` and `kill` never raise.

As a process: python -m infra.local.clamd SETTINGS.toml  (the fields of ClamdSettings; SIGTERM ends it in order)
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infra.local.foreground import run_until_told
from infra.local.ports import is_listening
from infra.local.server_log import log_end, written_to
from shared.settings import Section, read_private_toml

_LIMITS = Path(__file__).parents[1] / "clamav" / "clamd.conf"
# What infra/clamav/clamd.conf says of its container; the rest, the limits, holds here, too.
_CONTAINER_KEYS = frozenset({"DatabaseDirectory", "TemporaryDirectory", "TCPSocket", "TCPAddr"})
_USER = "clamav"
_READY_S = 120.0
_STOP_S = 10.0
_POLL_S = 0.05

# The EICAR test file, in two pieces, so that no scanner takes this file for the thing itself.
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
SIGNATURE_NAME = "Eicar-Test-Signature"


class ClamdFailed(Exception):
    """A clamd that ended early or did not become ready in time."""


class ClamdSettings(Section):
    """port: on 127.0.0.1. database: the folder of the host's signatures. log: None leaves it on the caller's output.

    socket: a path below /tmp, where it listens, too. lines: of clamd.conf, in place of ours of the same name.
    """

    port: int
    database: Path = Path("/var/lib/clamav")
    log: Path | None = None
    socket: Path | None = None
    lines: tuple[str, ...] = ()

    @property
    def has_full_database(self) -> bool:
        """Whether main and daily are both there, as cvd (as fetched) or cld (as updated)."""
        return all(
            any((self.database / f"{name}.{end}").exists() for end in ("cvd", "cld")) for name in ("main", "daily")
        )


class Clamd:
    """A clamd that can be started, stopped, killed and started again."""

    def __init__(self, settings: ClamdSettings, *, own_group: bool = True) -> None:
        self.settings = settings
        self._own_group = own_group
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def start(self) -> None:
        """Start clamd, without waiting for it. Raises OSError where it is not installed."""
        self._folder = _prepare_folder(self.settings)
        with written_to(self.settings.log) as out:
            self._process = subprocess.Popen(
                [_command(), "--config-file", str(self._folder / "clamd.conf")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=self._own_group,
            )

    def wait_ready(self, deadline_s: float = _READY_S) -> None:
        """Return once it takes connections, which is after it has loaded its signatures. Raises ClamdFailed."""
        assert self._process is not None
        give_up_at = time.monotonic() + deadline_s
        while not is_listening(self.settings.port):
            try:
                self._process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < give_up_at:
                    continue
            self.kill()
            raise ClamdFailed(f"clamd did not come up on port {self.settings.port}:\n{log_end(self.settings.log)}")

    def wait_end(self) -> None:
        """Return when it has ended, for whatever reason."""
        if self._process is not None:
            self._process.wait()

    def terminate(self) -> None:
        """Tell it to end, without waiting."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """End it, within ten seconds."""
        if self._process is None:
            return
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        self.kill()

    def send_signal(self, number: int) -> None:
        """Send it a signal, while it runs."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once (kill -9)."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _command() -> str:
    # An ordinary user's PATH does not lead there.
    return shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "clamd"


def _key(line: str) -> str:
    return line.partition(" ")[0]


def _prepare_folder(settings: ClamdSettings) -> Path:
    # Debian's AppArmor profile lets clamd read and write in /tmp and its own folders alone, and the user clamav cannot
    # enter a checkout below /root.
    folder = Path(tempfile.mkdtemp(prefix="gatepost-clamd-", dir="/tmp"))
    temporary, signatures = folder / "scan", folder / "signatures"
    temporary.mkdir()
    signatures.mkdir()
    (signatures / "gatepost-eicar.ndb").write_text(f"{SIGNATURE_NAME}:0:*:{EICAR.hex()}\n")
    ours = [
        f"DatabaseDirectory {settings.database if settings.has_full_database else signatures}",
        f"TemporaryDirectory {temporary}",
        "TCPAddr 127.0.0.1",
        f"TCPSocket {settings.port}",
        *(line for line in _LIMITS.read_text().splitlines() if _key(line) not in _CONTAINER_KEYS),
    ]
    replaced = {_key(line) for line in settings.lines}
    lines = [*(line for line in ours if _key(line) not in replaced), *settings.lines]
    if settings.socket is not None:
        lines.append(f"LocalSocket {settings.socket}")
    if os.geteuid() == 0:
        lines.append(f"User {_USER}")
        owner = pwd.getpwnam(_USER)
        for path in (folder, temporary, signatures):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    (folder / "clamd.conf").write_text("\n".join(lines) + "\n")
    return folder


def main() -> None:
    """Run clamd until SIGTERM or SIGINT (exit 0), or until it ends by itself (exit 1)."""
    settings = ClamdSettings.model_validate(read_private_toml(Path(sys.argv[1])))
    if not settings.has_full_database:
        print("no complete ClamAV database: clamd knows the EICAR test file alone", file=sys.stderr, flush=True)
    run_until_told(Clamd(settings, own_group=False))


if __name__ == "__main__":
    main()
