"""As whom the local edge serves where root starts `make run` (I/O: modes and owners of files).

A user without rights, as anywhere else, where it can read Python, the checkout and the data folder; they often lie in
root's home, which is closed to everybody else. There the edge serves as root, on loopback alone.
"""

import os
import pwd
import stat
import sys
from pathlib import Path

import structlog

from infra.local.layout import REPOSITORY, Layout

USER = "nobody"


def edge_rights(layout: Layout, *, am_root: bool) -> dict[str, object]:
    """Return the edge's settings that say as whom it serves."""
    if not am_root:
        return {}
    return {"allow_root_on_loopback": True} if closed_to_others(layout) else {"run_as": USER}


def closed_to_others(layout: Layout) -> list[str]:
    """Return what an edge of another user would need, and other users cannot read or enter."""
    needed = (sys.executable, os.__file__, structlog.__file__, str(REPOSITORY / "services" / "edge" / "app.py"))
    closed = [file for file in needed if not others_can_read(Path(file))]
    folders = dict.fromkeys((layout.data.parent, REPOSITORY))
    return closed + [str(folder) for folder in folders if not others_can_enter(folder)]


def others_can_read(file: Path) -> bool:
    """Whether every user of this machine can read a file, by modes alone."""
    real = file.resolve()
    return all(others_can_enter(path.parent) and path.stat().st_mode & stat.S_IROTH for path in (file.absolute(), real))


def others_can_enter(folder: Path) -> bool:
    """Whether every user can go into a folder, from the root of the file system on."""
    real = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (real, *real.parents))


def give_files(layout: Layout, run_as: str) -> None:
    """Let the edge's user reach what it reads: certificate, key and zone file; everything else stays closed."""
    user = pwd.getpwnam(run_as.partition(":")[0])
    for folder in (layout.data, layout.tls, layout.dns):
        folder.chmod(0o711)
    for file in (layout.tls / "certificate.pem", layout.tls / "key.pem"):
        os.chown(file, user.pw_uid, -1)
    layout.zone_file.chmod(0o644)
