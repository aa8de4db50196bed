"""What lies on this machine: settings files, disks (I/O: files)."""

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from services.console.doctor.finding import Finding, good, warning, wrong
from shared.broker.topology import RIGHTS

_DISK_WRONG_BYTES = 1_000_000_000
_DISK_LOW_SHARE = 0.1
_INODES_LOW_SHARE = 0.05


def settings_files(console: Path) -> list[Finding]:
    """Look at our own settings file and those of the services beside it."""
    beside = [console.parent / f"{service}.toml" for service in RIGHTS if service != "console"]
    return [_settings_file(path) for path in (console, *(path for path in beside if path.exists()))]


def _settings_file(path: Path) -> Finding:
    topic = f"settings {path}"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return wrong(topic, str(error), "write the file, or name it in GATEPOST_SETTINGS_FILE")
    if mode & 0o077:
        return wrong(topic, f"mode {mode:04o} lets others read its passwords", f"chmod 600 {path}")
    return good(topic, f"found, mode {mode:04o}")


def disks(paths: Iterable[Path]) -> list[Finding]:
    """Look at the free space of the file systems that hold these paths."""
    return [_disk(path) for path in paths]


def _disk(path: Path) -> Finding:
    topic = f"disk {path}"
    try:
        usage, files = shutil.disk_usage(path), os.statvfs(path)
    except OSError as error:
        return wrong(topic, str(error), "create the folder, or correct [doctor] disk_paths")
    # Some file systems have no fixed number of inodes, and say 0.
    if files.f_files and files.f_favail < _INODES_LOW_SHARE * files.f_files:
        text = f"{files.f_favail} of {files.f_files} inodes are free: no more files can be made soon"
        return warning(topic, text, "remove many small files: old mail in Maildirs, old logs")
    free = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.0f} GB free"
    mend = "free some space or enlarge the disk: RabbitMQ holds publishers back when its disk is nearly full"
    if usage.free < _DISK_WRONG_BYTES:
        return wrong(topic, free, mend)
    return warning(topic, free, mend) if usage.free < _DISK_LOW_SHARE * usage.total else good(topic, free)
