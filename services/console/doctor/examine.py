"""All examinations of the doctor, side by side (I/O)."""

import asyncio
import time
from pathlib import Path

from sqlalchemy import make_url

from services.console.doctor import engines, here, records
from services.console.doctor.clamd_limits import clamd_limits
from services.console.doctor.finding import Finding
from services.console.doctor.scanners import scanners
from services.console.settings import ConsoleSettings

# A name that is sure to be answered by a working DNS, if only with "there is none".
_PROBE_NAME = "example.org"


async def examine(settings: ConsoleSettings, path: Path) -> list[Finding]:
    """Return all findings, in the order in which one mends them."""
    groups = await asyncio.gather(
        asyncio.to_thread(here.settings_files, path),
        asyncio.to_thread(here.disks, _disk_paths(settings)),
        asyncio.to_thread(here.certificates, settings.doctor.certificate_files),
        engines.broker(settings),
        engines.topology(settings),
        engines.redis(settings.redis),
        records.database(settings),
        records.policy(settings, time.time()),
        engines.dns(settings.dns, _PROBE_NAME),
        scanners(settings.doctor),
        clamd_limits(settings.doctor),
        engines.services(settings),
    )
    return [finding for group in groups for finding in group]


def _disk_paths(settings: ConsoleSettings) -> list[Path]:
    if settings.doctor.disk_paths:
        return list(settings.doctor.disk_paths)
    url = make_url(settings.database.url.get_secret_value())
    is_file = url.get_backend_name() == "sqlite" and bool(url.database)
    return [Path(url.database).parent] if is_file and url.database else [Path()]
