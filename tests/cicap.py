"""A real ICAP server (c-icap with its module virus_scan) for tests, behind it a clamd with a socket.

with Cicap(clamd_socket) as server: IcapSettings(url=server.url)
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from infra.local.ports import free_ports, is_listening

_READY_S = 20.0
_CONFIG = """PidFile {folder}/pid
CommandsSocket {folder}/ctl
StartServers 1
MaxServers 1
ThreadsPerChild 10
MaxKeepAliveRequests 5
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
    """c-icap on a free port. clamd: the socket of the engine behind it."""

    def __init__(self, clamd: Path) -> None:
        (self.port,) = free_ports(1)
        self.url = f"icap://127.0.0.1:{self.port}/avscan"
        self._clamd = clamd
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Cicap":
        # clamd, as its own user, reads there what c-icap has received.
        self._folder = Path(tempfile.mkdtemp(prefix="gatepost-cicap-", dir="/tmp"))
        self._folder.chmod(0o755)
        (modules,) = Path("/usr/lib").glob("*/c_icap")
        user = "User root\nGroup root" if os.geteuid() == 0 else ""
        config = self._folder / "c-icap.conf"
        config.write_text(
            _CONFIG.format(folder=self._folder, port=self.port, user=user, modules=modules, clamd=self._clamd)
        )
        self._process = subprocess.Popen(["/usr/bin/c-icap", "-N", "-f", str(config)])
        give_up_at = time.monotonic() + _READY_S
        while not is_listening(self.port):
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError("c-icap did not come up")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
