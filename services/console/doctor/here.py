"""What lies on this machine: settings files, disks, certificates (I/O: files)."""

import shutil
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from services.console.doctor.finding import Finding, good, warning, wrong
from shared.broker.topology import RIGHTS

_DISK_WRONG_BYTES = 1_000_000_000
_DISK_LOW_SHARE = 0.1
_CERTIFICATE_WARNING_DAYS = 21


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
        usage = shutil.disk_usage(path)
    except OSError as error:
        return wrong(topic, str(error), "create the folder, or correct [doctor] disk_paths")
    free = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.0f} GB free"
    mend = "free some space or enlarge the disk: RabbitMQ holds publishers back when its disk is nearly full"
    if usage.free < _DISK_WRONG_BYTES:
        return wrong(topic, free, mend)
    return warning(topic, free, mend) if usage.free < _DISK_LOW_SHARE * usage.total else good(topic, free)


def certificates(paths: Iterable[Path], now: datetime | None = None) -> list[Finding]:
    """Look at the expiry of each certificate file (PEM; the first certificate of a chain)."""
    return [_certificate(path, now or datetime.now(UTC)) for path in paths]


def _certificate(path: Path, now: datetime) -> Finding:
    topic = f"certificate {path}"
    renew = "have it renewed, put the new one in its place and restart edge"
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return wrong(topic, str(error), "write a PEM certificate there, or correct [doctor] certificate_files")
    until = certificate.not_valid_after_utc
    days = (until - now).days
    if until <= now:
        return wrong(topic, f"expired on {until:%Y-%m-%d}", renew)
    text = f"valid until {until:%Y-%m-%d} ({days} days)"
    return warning(topic, text, renew) if days < _CERTIFICATE_WARNING_DAYS else good(topic, text)
