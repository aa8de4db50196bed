"""Owns the virus scanner of the bench: a private clamd with one signature, EICAR.

Output: clamd's protocol on a TCP port of 127.0.0.1. With so few signatures the peers' own cost stays visible.
On failure: ChildFailed.
"""

import shutil
import tempfile
from pathlib import Path

from tests.bench.lab.child import Child

# In two pieces, so that no scanner takes this file for the thing itself.
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

_CONFIG = """\
Foreground yes
DatabaseDirectory {folder}/signatures
TemporaryDirectory {folder}
TCPAddr 127.0.0.1
TCPSocket {port}
AlertExceedsMax yes
SelfCheck 0
# Real messages differ. The same one sent again is answered from the cache to the peer whose scanner sees equal bytes, and
# not to the one that has put its Received field on top.
DisableCache yes
"""


class Scanner:
    """A clamd that knows EICAR."""

    def __init__(self, port: int) -> None:
        self.port = port
        # Debian's AppArmor profile lets clamd use /tmp and its own folders alone.
        self._folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-clamd-", dir="/tmp"))
        signatures = self._folder / "signatures"
        signatures.mkdir()
        (signatures / "eicar.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.encode().hex()}\n")
        (self._folder / "clamd.conf").write_text(_CONFIG.format(folder=self._folder, port=port))
        self._child: Child | None = None

    def start(self) -> None:
        """Return when scans are taken."""
        argv = ["/usr/sbin/clamd", f"--config-file={self._folder / 'clamd.conf'}"]
        self._child = Child(argv, self._folder / "clamd.log")
        self._child.wait_for_port(self.port)

    @property
    def pid(self) -> int:
        """The id of the running scanner."""
        assert self._child is not None, "not started"
        return self._child.pid

    def stop(self) -> None:
        """End the scanner and remove its folder."""
        if self._child is not None:
            self._child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
