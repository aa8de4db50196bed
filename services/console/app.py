"""Wires the console's process: settings → database, broker link, recorder, pages and API, health (I/O).

On failure: a database or broker that is away is waited for, and `/readyz` says so. A link that is up without consumers
for a minute, or a writer that has died, ends the process with 1, so that whoever keeps it starts it anew.
"""

import asyncio
import signal
import time
from dataclasses import dataclass

import structlog

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.digest.daily import QuarantineDigests
from services.console.dmarc.daily import DailyReports
from services.console.first_start import offer_first_administrator
from services.console.gauges import Gauges
from services.console.identity.rights import on_this_host
from services.console.recorder import Recorder
from services.console.retention import Retention
from services.console.settings import ConsoleSettings
from services.console.tls_reports.daily import TlsReports
from services.console.tls_reports.post import Poster
from services.console.web.app import create_app
from services.console.web.backstage import Backstage
from services.console.web.serve import WebServer
from shared.broker.connect import Link
from shared.broker.in_force import PolicyInForce
from shared.broker.publish import Publisher
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
    desk = Desk(settings, database, on_this_host("recorder"))
    reports = DailyReports(desk, resolver, lambda: policy.policy.dmarc_reports if policy.is_known else None)
    poster = Poster(resolver)
    tls_reports = TlsReports(desk, resolver, poster, lambda: policy.policy.tls_reports if policy.is_known else None)
    retention = Retention(desk, lambda: policy.policy.retention if policy.is_known else None)
    digests = QuarantineDigests(desk, lambda: policy.policy if policy.is_known else None)
    migrated = asyncio.Event()
    conditions = {
        "database": lambda: migrated.is_set() and recorder.database_works,
        "broker": lambda: link.is_up,
        "consuming": lambda: recorder.is_consuming,
    }
    health = HealthServer(settings.health, conditions, gate=gate, policy_version=lambda: policy.version)
    web_link = Link(settings.broker, "gatepost-console-web")
    web = _web_server(settings, Backstage(settings, database, Publisher(web_link), policy, gate))
    if state is not None:
        await state.start()
    await health.start()
    if web is not None:
        web_link.start()
    reporting = [
        asyncio.create_task(_report_when(migrated, reports), name="dmarc-reports"),
        asyncio.create_task(_report_when(migrated, tls_reports), name="tls-reports"),
        asyncio.create_task(_report_when(migrated, retention), name="retention"),
        asyncio.create_task(_report_when(migrated, digests), name="quarantine-digests"),
        asyncio.create_task(_report_when(migrated, Gauges(desk)), name="gauges"),
    ]
    try:
        return await _work_until(stop, _Work(database, link, recorder, web, desk), migrated)
    finally:
        for task in reporting:
            task.cancel()
        await asyncio.gather(*reporting, return_exceptions=True)
        if web is not None:
            await web.close()
            await web_link.close()
        await poster.close()
        await desk.close()
        await resolver.close()
        await recorder.close()
        await link.close()
        await health.close()
        if state is not None:
            await state.close()
        await database.close()


async def _report_when(
    migrated: asyncio.Event, reports: DailyReports | TlsReports | Retention | QuarantineDigests | Gauges
) -> None:
    await migrated.wait()
    await reports.run_for_ever()


def _web_server(settings: ConsoleSettings, backstage: Backstage) -> WebServer | None:
    return WebServer(settings.web, settings.hostname, create_app(backstage)) if settings.web is not None else None


@dataclass(frozen=True, slots=True)
class _Work:
    """What the process does beside reporting. web: None where no pages are wanted."""

    database: Database
    link: Link
    recorder: Recorder
    web: WebServer | None
    desk: Desk

    @property
    def has_ended(self) -> bool:
        """Whether something is over that never should be."""
        return self.recorder.has_ended or (self.web is not None and self.web.has_ended)


async def _work_until(stop: asyncio.Event, work: _Work, migrated: asyncio.Event) -> int:
    database, recorder, link = work.database, work.recorder, work.link
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
        # Behind the migration: a page needs its tables.
        if work.web is not None:
            await offer_first_administrator(work.desk, time.time())
            await work.web.start()
    idle = 0
    while not stop.is_set():
        await asyncio.wait([stopping], timeout=_WATCH_EVERY_S)
        # Connected but without a consumer: nothing would ever come.
        idle = idle + 1 if link.is_up and not recorder.is_consuming else 0
        if idle >= _WATCH_PATIENCE or work.has_ended:
            _log.error("console-does-not-work", consuming=recorder.is_consuming, writing=not recorder.has_ended)
            stopping.cancel()
            return 1
    _log.info("recorder-stops")
    return 0
