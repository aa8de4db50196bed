"""What the gateway leans on, and what runs out: engines, certificates, disks, DKIM records, clocks (I/O).

Each is asked with a deadline; what cannot be asked is left out, or says why in its own place.
"""

import asyncio
import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from sqlalchemy import make_url, select
from sqlalchemy.exc import SQLAlchemyError

from services.console.actions.desk import ActionError, Desk
from services.console.actions.dkim import list_keys
from services.console.doctor.clocks import clocks
from services.console.doctor.finding import Finding, Level
from services.console.doctor.scanners import open_address, scanners
from services.console.pulse.clocks import Stamp, skews
from services.console.pulse.facts import Certificate, Disk, Engine, MissingKey, Skew, Surroundings
from services.console.pulse.measures import Measures
from services.console.settings import ConsoleSettings
from services.console.tables import events, messages
from shared.dkim_keys import KeyState, RecordState, judge_records
from shared.dns.answer import BadName, DnsTemporary, Resolver
from shared.dns.open import open_resolver

_DEADLINE_S = 5.0
_KEYS = 40
_SAMPLE = 40
_SIGNATURES = re.compile(rb"^ClamAV [^/]*/\d+/(.{8,40}?)\0?\s*$")
_SIGNATURES_FORM = "%a %b %d %H:%M:%S %Y"


async def surroundings(desk: Desk, measures: dict[str, Measures]) -> Surroundings:
    """Ask for all of it. measures: the services' figures, for edge's certificates."""
    engines, keys, skewed, seen, disks, files = await asyncio.gather(
        _engines(desk.settings),
        _missing_keys(desk),
        _skews(desk),
        clocks(desk.settings),
        asyncio.to_thread(_disks, desk.settings),
        asyncio.to_thread(_certificate_files, desk.settings),
    )
    certificates = {one.where: one for one in (*files, *_certificates_of_edge(measures.get("edge", Measures())))}
    return Surroundings(time.time(), engines, tuple(certificates.values()), disks, keys, skewed, tuple(seen))


async def _engines(settings: ConsoleSettings) -> tuple[Engine, ...]:
    findings, signatures = await asyncio.gather(
        scanners(settings.doctor), asyncio.gather(*(_signatures_at(address) for address in settings.doctor.clamd))
    )
    made_at = dict(zip(settings.doctor.clamd, signatures, strict=True))
    return tuple(_engine(finding, made_at) for finding in findings)


def _engine(finding: Finding, made_at: dict[str, float | None]) -> Engine:
    # A finding begins with the address that was asked.
    address = next((known for known in made_at if finding.text.startswith(known)), "")
    where = address or finding.text.split(" ", 1)[0].rstrip(":")
    at = made_at.get(address) if finding.topic == "clamd" else None
    return Engine(finding.topic, where, finding.level is not Level.WRONG, finding.text, finding.mend, at)


async def _signatures_at(address: str) -> float | None:
    """Return when a clamd's signatures were made; None where it does not tell."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            reader, writer = await open_address(address)
            try:
                writer.write(b"zVERSION\0")
                return read_signatures_at(await reader.read(500))
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return None


def read_signatures_at(answer: bytes) -> float | None:
    """Return the time in clamd's answer to VERSION, or None where it names no signatures (PURE)."""
    found = _SIGNATURES.match(answer)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1].decode("ascii"), _SIGNATURES_FORM).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


async def _missing_keys(desk: Desk) -> tuple[MissingKey, ...]:
    try:
        async with asyncio.timeout(4 * _DEADLINE_S):
            keys = [key for key in await list_keys(desk) if key.state is KeyState.ACTIVE][:_KEYS]
            if not keys:
                return ()
            resolver = open_resolver(desk.settings.dns)
            try:
                looked = [(key, await _record(resolver, key.name, key.record)) for key in keys]
            finally:
                await resolver.close()
    except (ActionError, SQLAlchemyError, OSError, ValueError, TimeoutError):
        return ()
    # A DNS that does not answer is not a record that is missing.
    return tuple(MissingKey(key.domain, key.selector, state.value) for key, state in looked if state not in _FINE)


_FINE = (None, RecordState.PUBLISHED)


async def _record(resolver: Resolver, name: str, record: str) -> RecordState | None:
    try:
        answer = await resolver.lookup(name, "TXT")
    except DnsTemporary:
        return None
    except BadName:
        return RecordState.ABSENT
    return judge_records(answer.texts(), record)


async def _skews(desk: Desk) -> tuple[Skew, ...]:
    newest = select(messages.c.id).order_by(messages.c.last_seen.desc()).limit(_SAMPLE)
    query = select(events.c.id, events.c.at, events.c.host, events.c.kind).where(events.c.id.in_(newest))
    try:
        async with desk.database.reading() as connection:
            rows = (await connection.execute(query.limit(20 * _SAMPLE))).all()
    except (SQLAlchemyError, OSError):
        return ()
    return skews([Stamp(*row) for row in rows], desk.settings.hostname, time.time())


def _disks(settings: ConsoleSettings) -> tuple[Disk, ...]:
    return tuple(disk for disk in map(_disk, disk_paths(settings)) if disk is not None)


def disk_paths(settings: ConsoleSettings) -> list[Path]:
    """Return the paths whose file systems are looked at: those of the settings, else the database's."""
    if settings.doctor.disk_paths:
        return list(settings.doctor.disk_paths)
    url = make_url(settings.database.url.get_secret_value())
    is_file = url.get_backend_name() == "sqlite" and bool(url.database)
    return [Path(url.database).parent] if is_file and url.database else [Path()]


def _disk(path: Path) -> Disk | None:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return Disk(str(path), usage.free, usage.total)


def _certificate_files(settings: ConsoleSettings) -> tuple[Certificate, ...]:
    files = [*settings.doctor.certificate_files, *([settings.web.certificate_file] if settings.web else [])]
    return tuple(_certificate(path) for path in dict.fromkeys(files))


def _certificate(path: Path) -> Certificate:
    try:
        ends_at = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError) as error:
        return Certificate(str(path), None, str(error))
    return Certificate(str(path), ends_at)


def _certificates_of_edge(measures: Measures) -> tuple[Certificate, ...]:
    return tuple(
        Certificate(str(one.labels.get("file", "")), one.value)
        for one in measures.named("gatepost_edge_certificate_expires_timestamp_seconds")
    )
