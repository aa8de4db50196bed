"""A real ICAP server (c-icap with its module virus_scan) for tests, behind it a clamd with a socket.

with Cicap(clamd_socket) as server: IcapSettings(url=server.url)
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.ports import free_ports, is_listening

_READY_S = 20.0
_CONFIG = """PidFile {folder}/pid
CommandsSocket {folder}/ctl
StartServers 1
MaxServers 1
ThreadsPerChild 10
MaxKeepAliveRequests {requests}
Port 127.0.0.1:{port}
{user}
TmpDir {folder}
ServerName localhost
ModulesDir {modules}
ServicesDir {modules}
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {folder}/server.log
AccessLog {folder}/access.log
DebugLevel 1
Module common clamd_mod.so
clamd_mod.ClamdSocket {clamd}
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
Service echo srv_echo.so
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE
virus_scan.MaxObjectSize 200M
virus_scan.DefaultEngine clamd
"""


class Cicap:
    """c-icap on a free port, which can be stopped, killed and started again.

    clamd: the socket of the engine behind it. requests: after so many it ends a connection.
    """

    def __init__(self, clamd: Path, requests: int = 5) -> None:
        (self.port,) = free_ports(1)
        self.url = f"icap://127.0.0.1:{self.port}/avscan"
        self._clamd = clamd
        self._requests = requests
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        # clamd, as its own user, reads there what c-icap has received.
        self._folder = Path(tempfile.mkdtemp(prefix="gatepost-cicap-", dir="/tmp"))
        self._folder.chmod(0o755)
        (modules,) = Path("/usr/lib").glob("*/c_icap")
        user = "User root\nGroup root" if os.geteuid() == 0 else ""
        config = self._folder / "c-icap.conf"
        values = {"folder": self._folder, "port": self.port, "user": user, "modules": modules}
        config.write_text(_CONFIG.format(**values, clamd=self._clamd, requests=self._requests))
        # It works in a child of its own: signals go to the group.
        self._process = subprocess.Popen(["/usr/bin/c-icap", "-N", "-f", str(config)], start_new_session=True)
        give_up_at = time.monotonic() + _READY_S
        while not is_listening(self.port):
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError("c-icap did not come up")
            time.sleep(0.02)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop it where it is: connections are taken by the kernel, and answered by nobody. It may be killed meanwhile."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if self._process is not None:
                self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> "Cicap":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)
