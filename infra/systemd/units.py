"""Gatepost's units under systemd (I/O: files, systemctl).

Owns: /etc/systemd/system as far as it is ours; which services are enabled; starting them again, which drains.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from infra.systemd.host import Host, InstallError

_FOLDER = Path(__file__).parent
_SYSTEM = "/etc/systemd/system"
_SANDBOX = "gatepost-.service.d"
_SIGNATURES, _CLAMD = "gatepost-signatures.path", "clamav-daemon.service"
_OLD, _NEW = "/var/lib/gatepost-recorder", "/var/lib/gatepost-console"


def lay_units(host: Host, stages: Sequence[str]) -> None:
    """Write the units of some services, and look at them as systemd does. Raises InstallError."""
    host.folder(_SYSTEM, 0o755)
    host.folder(f"{_SYSTEM}/{_SANDBOX}", 0o755)
    host.write(f"{_SYSTEM}/{_SANDBOX}/sandbox.conf", (_FOLDER / _SANDBOX / "sandbox.conf").read_bytes(), 0o644)
    units = _units(stages)
    for name in (*units, "gatepost.target"):
        host.write(f"{_SYSTEM}/{name}", (_FOLDER / name).read_bytes(), 0o644)
    if not units:
        return
    # systemd reads links; so may everybody who looks which services start with the host.
    for name, wanted_by in (*((unit, "gatepost.target") for unit in units), ("gatepost.target", "multi-user.target")):
        folder = host.folder(f"{_SYSTEM}/{wanted_by}.wants", 0o755)
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(f"{_SYSTEM}/{name}")
    if host.root == Path("/"):
        _verify(host, units)


def _verify(host: Host, units: Sequence[str]) -> None:
    try:
        host.run("systemd-analyze", "verify", "--man=no", *(f"{_SYSTEM}/{unit}" for unit in units))
    except InstallError as error:
        print(f"install: units not verified: {error}")
    else:
        print(f"install: systemd finds no fault with {', '.join(units)}")


def _units(stages: Sequence[str]) -> list[str]:
    return [*(f"gatepost-{stage}.service" for stage in stages), *([_SIGNATURES] if "content" in stages else [])]


def enable_and_start(host: Host, stages: Sequence[str]) -> None:
    """Enable services and start them (again). Raises InstallError."""
    units = _units(stages)
    if _SIGNATURES in units:
        # Its signatures may have come in the meantime.
        host.run("sh", "-c", f"systemctl is-enabled --quiet {_CLAMD} && systemctl start --no-block {_CLAMD} || true")
    if units:
        host.run("systemctl", "enable", "--quiet", "gatepost.target", *units)
        host.run("systemctl", "restart", *units)
        print(f"install: started {', '.join(units)}")


def retire_recorder(host: Host) -> None:
    """Carry over what the console had while it was called the recorder: its unit goes, its data stay."""
    unit = host.path(f"{_SYSTEM}/gatepost-recorder.service")
    if unit.is_file() and not unit.is_symlink():
        if host.runs_systemd:
            host.run("systemctl", "disable", "--now", "gatepost-recorder.service")
        unit.unlink()
    old, new = host.path(_OLD), host.path(_NEW)
    if not old.is_dir() or old.is_symlink() or new.exists():
        return
    old.rename(new)
    old.symlink_to(_NEW)
    for path in (new, *new.rglob("*"), host.path("/etc/gatepost/console.toml")):
        if path.exists():
            os.chown(path, *host.owner("gatepost-console"))
    print(f"install: {_OLD} is now {_NEW}")
