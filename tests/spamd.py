"""A real SpamAssassin daemon for tests: Debian's rules, local tests alone, with a Bayes database of its own.

    async def test_x(spamd: Spamd) -> None:          # one per test session
        AntispamSettings(engine="spamd", addresses=[spamd.address])
        spamd.kill(); spamd.start()                  # between tests it is always up again
        spamd.freeze(); spamd.thaw()                 # it takes connections, and answers nothing

It may be taught (TELL).
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from infra.local.ports import free_ports

_READY_S = 60.0
_POLL_S = 0.05
_USER = "debian-spamd"
_RULES = Path("/usr/share/spamassassin")
# Those of Debian's that examine the message by themselves.
_PLUGINS = (
    *("Check", "Bayes", "BodyEval", "HTMLEval", "HeaderEval", "MIMEEval", "MIMEHeader", "RelayEval", "URIEval"),
    *("URIDetail", "WLBLEval", "DNSEval", "ReplaceTags", "HTTPSMismatch", "FreeMail", "VBounce", "ImageInfo"),
)
_CONFIGURATION = """\
use_bayes 1
bayes_auto_learn 0
bayes_path {folder}/bayes
# Two children write to it.
lock_method flock
report_safe 0
"""


class Spamd:
    """A spamd on a free port of 127.0.0.1."""

    def __init__(self, log_folder: Path) -> None:
        (self.port,) = free_ports(1)
        self._log = log_folder / "spamd.log"
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.is_up = False

    @property
    def address(self) -> str:
        """Where it listens, `host:port`."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self._folder is None:
            self._folder = _prepare_folder()
        user = _USER if os.geteuid() == 0 else None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                _command(self.port, self._folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self._folder), "LANG": "C.UTF-8"},
                user=user,
                group=user,
                extra_groups=[] if user else None,
                start_new_session=True,
            )
        give_up_at = time.monotonic() + _READY_S
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < give_up_at, "spamd does not answer"
            time.sleep(_POLL_S)
        self.is_up = True

    def kill(self) -> None:
        """End it and its children at once."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.is_up = False

    def close(self) -> None:
        """End it at once, and remove what it has left."""
        self.kill()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def freeze(self) -> None:
        """Let it take connections, but answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        """Whether it has an answer to PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(b"PING SPAMC/1.5\r\n\r\n")
                return b"PONG" in probe.recv(100)
        except OSError:
            return False


def _command(port: int, folder: Path) -> list[str]:
    # An ordinary user's PATH does not lead there.
    spamd = shutil.which("spamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "spamd"
    return [
        *(spamd, "--local", "--allow-tell", "--nouser-config", "--syslog=stderr"),
        *(f"--configpath={_RULES}", f"--siteconfigpath={folder / 'site'}"),
        *(f"--listen=127.0.0.1:{port}", f"--pidfile={folder / 'spamd.pid'}"),
        *("--min-children=1", "--max-children=2", "--min-spare=1", "--max-spare=1"),
    ]


def _prepare_folder() -> Path:
    # Its user need not be able to enter the tests' folder.
    folder = Path(tempfile.mkdtemp(prefix="gatepost-spamd-", dir="/tmp"))
    site = folder / "site"
    site.mkdir()
    (site / "init.pre").write_text("".join(f"loadplugin Mail::SpamAssassin::Plugin::{name}\n" for name in _PLUGINS))
    (site / "local.cf").write_text(_CONFIGURATION.format(folder=folder))
    if os.geteuid() == 0:
        owner = pwd.getpwnam(_USER)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    return folder
