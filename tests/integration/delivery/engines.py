"""Real next hops: Postfix's smtp-sink, and a private Dovecot LMTP server (dovecot-lmtpd)."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.local.ports import free_ports
from tests.integration.delivery.waiting import wait_until

_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = lmtp
ssl = no
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {internal}
mail_location = maildir:~/Maildir
first_valid_uid = 1
passdb {{
  driver = static
}}
userdb {{
  {users}
  override_fields = uid={owner} gid={owner_group} home={folder}/mail/%d/%n
}}
{more}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service lmtp {{
  user = {lmtp_user}
  unix_listener {folder}/lmtp {{
    mode = 0600
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
_EVERYBODY = "driver = static\n  args = allow_all_users=yes"


def can_connect(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def smtp_sink(*switches: str) -> Iterator[tuple[int, Path]]:
    """Run smtp-sink; yields its port and the folder into which it writes what it takes, a file each."""
    (port,) = free_ports(1)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with _shared_folder() as folder:
        taken = folder / "taken"
        taken.mkdir()
        taken.chmod(0o777)
        command = ["smtp-sink", *user, "-d", f"{taken}/mail.", *switches, f"127.0.0.1:{port}", "100"]
        with subprocess.Popen(command, env=_path(), cwd="/") as process:
            try:
                wait_until(lambda: can_connect(port))
                yield port, taken
            finally:
                process.terminate()


@contextlib.contextmanager
def _shared_folder() -> Iterator[Path]:
    """Yield a folder that other users can reach; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def dovecot_lmtp(users: Path | None = None, more: str = "") -> Iterator[tuple[int, Path, Path]]:
    """Run Dovecot's LMTP server; yields its port, its socket, and where its mail lies (`domain/local part/Maildir`).

    users: a passwd-file of those whom it knows, else everybody. more: of its configuration.
    """
    (port,) = free_ports(1)
    root, me = os.geteuid() == 0, getpass.getuser()
    with _shared_folder() as folder:
        (folder / "mail").mkdir()
        if root:
            shutil.chown(folder / "mail", "nobody", "nogroup")
        config = folder / "dovecot.conf"
        config.write_text(
            _DOVECOT.format(
                folder=folder,
                port=port,
                internal="dovecot" if root else me,
                internal_group="dovecot" if root else me,
                lmtp_user="root" if root else me,
                owner="nobody" if root else me,
                owner_group="nogroup" if root else me,
                users=f"driver = passwd-file\n  args = username_format=%u {users}" if users else _EVERYBODY,
                more=more,
            )
        )
        with subprocess.Popen(["dovecot", "-F", "-c", str(config)], env=_path()) as process:
            try:
                wait_until(lambda: can_connect(port))
                yield port, folder / "lmtp", folder / "mail"
            finally:
                process.terminate()


def _path() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
