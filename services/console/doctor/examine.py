"""All examinations of the doctor, side by side (I/O)."""

import asyncio
import contextlib
import time
from pathlib import Path

from sqlalchemy import make_url

from services.console.doctor import agreement, engines, here, node, records
from services.console.doctor.beside import Beside, look_beside, pairs, sockets
from services.console.doctor.certificates import certificates
from services.console.doctor.clamd_limits import clamd_limits
from services.console.doctor.clocks import clocks
from services.console.doctor.finding import Finding, aside
from services.console.doctor.ports import ports
from services.console.doctor.scanners import scanners
from services.console.settings import ConsoleSettings, settings_path
from shared.errors import SettingsError

# A name that is sure to be answered by a working DNS, if only with "there is none".
_PROBE_NAME = "example.org"


async def examine(settings: ConsoleSettings, path: Path | None = None) -> list[Finding]:
    """Return all findings, in the order in which one mends them. path: of our settings file."""
    path = path or _usual_path()
    beside = await asyncio.to_thread(look_beside, path) if path else Beside({}, ())
    groups = await asyncio.gather(
        _settings_files(path),
        asyncio.to_thread(here.disks, _disk_paths(settings)),
        asyncio.to_thread(certificates, pairs(beside, settings)),
        ports(sockets(beside, settings), beside),
        engines.broker(settings),
        engines.topology(settings),
        node.nodes(settings),
        engines.redis(settings.redis),
        records.database(settings),
        records.policy(settings, time.time()),
        engines.dns(settings.dns, _PROBE_NAME),
        scanners(settings.doctor),
        clamd_limits(settings.doctor),
        agreement.services(settings),
        clocks(settings),
    )
    return [finding for group in groups for finding in group]


async def _settings_files(path: Path | None) -> list[Finding]:
    if path is None:
        return [aside("settings", "they came from no file")]
    return await asyncio.to_thread(here.settings_files, path)


def _usual_path() -> Path | None:
    with contextlib.suppress(SettingsError):
        return settings_path()
    return None


def _disk_paths(settings: ConsoleSettings) -> list[Path]:
    if settings.doctor.disk_paths:
        return list(settings.doctor.disk_paths)
    url = make_url(settings.database.url.get_secret_value())
    is_file = url.get_backend_name() == "sqlite" and bool(url.database)
    return [Path(url.database).parent] if is_file and url.database else [Path()]
