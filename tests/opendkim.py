"""A real OpenDKIM that signs, for tests of what verifies.

with OpenDkim(folder, domain="example.org", selector="s", key=pem, canonicalization="relaxed/simple") as signer:
    signed = signer.sign(message)
"""

import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

from infra.local.ports import free_ports, is_listening
from tests.milter import filter_message

_READY_S = 20.0
_POLL_S = 0.02
_CONFIGURATION = """\
Syslog no
Mode s
Domain {domain}
Selector {selector}
KeyFile {folder}/key.pem
Canonicalization {canonicalization}
SignatureAlgorithm {algorithm}
OversignHeaders From
InternalHosts {folder}/internal
ExternalIgnoreList {folder}/internal
RequireSafeKeys no
Socket inet:{port}@127.0.0.1
{more}
"""


class OpenDkim:
    """An OpenDKIM on a free port of 127.0.0.1. key: in PEM. more: lines of its configuration."""

    def __init__(
        self,
        folder: Path,
        *,
        domain: str,
        selector: str,
        key: bytes,
        canonicalization: str = "relaxed/relaxed",
        algorithm: str = "rsa-sha256",
        more: str = "",
    ) -> None:
        (self.port,) = free_ports(1)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "key.pem").write_bytes(key)
        (folder / "internal").write_text("127.0.0.1\n")
        (folder / "opendkim.conf").write_text(
            _CONFIGURATION.format(
                domain=domain,
                selector=selector,
                folder=folder,
                canonicalization=canonicalization,
                algorithm=algorithm,
                port=self.port,
                more=more,
            )
        )

    def __enter__(self) -> "OpenDkim":
        program = shutil.which("opendkim") or "/usr/sbin/opendkim"
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-f", "-x", str(self._folder / "opendkim.conf")], stdout=log, stderr=log
            )
        give_up_at = time.monotonic() + _READY_S
        while not is_listening(self.port):
            assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
            assert time.monotonic() < give_up_at, "OpenDKIM does not listen"
            time.sleep(_POLL_S)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def sign(self, message: bytes) -> bytes:
        """Return the message with OpenDKIM's signature on top."""
        fields = filter_message(self.port, message)
        assert fields, "OpenDKIM has not signed"
        return b"".join(fields) + message
