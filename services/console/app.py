"""Wires the recorder's process: settings → database, broker link, recorder, health (I/O).

On failure: a database or broker that is away is waited for, and `/readyz` says so. A link that is up without consumers
for a minute, or a writer that has died, ends the process with 1, so that whoever keeps it starts it anew.
"""

import asyncio
import signal

import structlog

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.dmarc.daily import DailyReports
from services.console.recorder import Recorder
from services.console.settings import ConsoleSettings
from services.console.tls_reports.daily import TlsReports
from services.console.tls_reports.post import Poster
from shared.broker.connect import Link
from shared.broker.in_force import PolicyInForce
from shared.dns.open import open_resolver
from shared.gate import Gate
from shared.health import HealthServer
from shared.state.open import open_state

_log = structlog.get_logger()
_WATCH_EVERY_S = 5.0
_WATCH_PATIENCE = 12
_MIGRATE_PAUSE_S = 2.0


async def run(settings: ConsoleSettings) -> int:
    """Run the recorder until SIGTERM or SIGINT. Returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    database = Database(settings.database.url.get_secret_value())
    link = Link(settings.broker, "gatepost-console-recorder")
    recorder = Recorder(link, database)
    state = open_state(settings.redis) if settings.redis else None
    policy = PolicyInForce(link)
    gate = Gate(policy, state)
    resolver = open_resolver(settings.dns)
    desk = Desk(settings, database, "recorder")
    reports = DailyReports(desk, resolver, lambda: policy.policy.dmarc_reports if policy.is_known else None)
    poster = Poster(resolver)
    tls_reports = TlsReports(desk, resolver, poster, lambda: policy.policy.tls_reports if policy.is_known else None)
    migrated = asyncio.Event()
    conditions = {
        "database": lambda: migrated.is_set() and recorder.database_works,
        "broker": lambda: link.is_up,
        "consuming": lambda: recorder.is_consuming,
    }
    health = HealthServer(settings.health, conditions, gate=gate)
    if state is not None:
        await state.start()
    await health.start()
    reporting = [
        asyncio.create_task(_report_when(migrated, reports), name="dmarc-reports"),
        asyncio.create_task(_report_when(migrated, tls_reports), name="tls-reports"),
    ]
    try:
        return await _record_until(stop, database, link, recorder, migrated)
    finally:
        for task in reporting:
            task.cancel()
        await asyncio.gather(*reporting, return_exceptions=True)
        await poster.close()
        await desk.close()
        await resolver.close()
        await recorder.close()
        await link.close()
        await health.close()
        if state is not None:
            await state.close()
        await database.close()


async def _report_when(migrated: asyncio.Event, reports: DailyReports | TlsReports) -> None:
    await migrated.wait()
    await reports.run_for_ever()


async def _record_until(
    stop: asyncio.Event, database: Database, link: Link, recorder: Recorder, migrated: asyncio.Event
) -> int:
    stopping = asyncio.create_task(stop.wait())
    while not stop.is_set() and not migrated.is_set():
        try:
            if await database.migrate():
                _log.info("database-migrated", where=database.where)
            migrated.set()
        except Exception as error:  # not there yet, perhaps: the database may start after us
            _log.warning("database-unreachable", where=database.where, cause=f"{type(error).__name__}: {error}"[:300])
            await asyncio.wait([stopping], timeout=_MIGRATE_PAUSE_S)
    recorder.start()
    if not stop.is_set():
        link.start()
        _log.info("recorder-started", database=database.where)
    idle = 0
    while not stop.is_set():
        await asyncio.wait([stopping], timeout=_WATCH_EVERY_S)
        # Connected but without a consumer: nothing would ever come.
        idle = idle + 1 if link.is_up and not recorder.is_consuming else 0
        if idle >= _WATCH_PATIENCE or recorder.has_ended:
            _log.error("recorder-does-not-work", consuming=recorder.is_consuming, writing=not recorder.has_ended)
            stopping.cancel()
            return 1
    _log.info("recorder-stops")
    return 0
