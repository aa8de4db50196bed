"""Forgetting what is old (I/O: SQL).

Owns: what is forgotten when, a little at a time, so that the recorder's own rows never wait for long. Of several
recorders one does it at a time. What DMARC and TLS reports are made of goes with those; the audit stays for ever.
On failure: logged, and done at the next round.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, Table, delete, exists, func, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import Desk
from services.console.held import HELD
from services.console.identity.refusals import write_numbers
from services.console.identity.tables import failed_logins, sessions
from services.console.rows import WAITING
from services.console.tables import events, message_words, messages, orders, quarantine, unreadable
from services.console.words import time_of
from shared.event import EventKind, Facts
from shared.policy.retention import RetentionRules

_log = structlog.get_logger()
_forgotten = Counter("gatepost_forgotten_total", "Rows that grew too old, by table", ["table"])

ROUND_S = 900.0
DAY_S = 86_400.0
# A transaction takes so many messages with their events: some tens of milliseconds. Then the recorder has its turn.
AT_ONCE = 200
_PAUSE_S = 0.1
_LOCK = 7_047_258
# Failed log-ins count for less than that.
_LOGINS_S = DAY_S
Batch = Callable[[AsyncConnection], Awaitable[int]]


class Retention:
    """The forgetting of one recorder. rules: of the policy in force, None while it is not known."""

    def __init__(self, desk: Desk, rules: Callable[[], RetentionRules | None]) -> None:
        self._desk = desk
        self._rules = rules

    async def run_for_ever(self) -> None:
        """Forget what is old, every quarter of an hour, until cancelled."""
        while True:
            rules = self._rules()
            if rules is not None:
                try:
                    await self.forget(rules, time.time())
                except SQLAlchemyError as error:
                    _log.warning("retention-waits", cause=type(error).__name__)
                except Exception:  # a defect here must not end the recorder
                    _log.exception("retention-failed")
            await asyncio.sleep(ROUND_S)

    async def forget(self, rules: RetentionRules, now: float, pause_s: float = _PAUSE_S) -> dict[str, int]:
        """Forget all that is too old; return how many messages, held mails and other rows that were."""
        await write_numbers(self._desk, now)
        too_old = now - rules.trace_days * DAY_S
        # What waits is told of again within days; what is said to wait for longer was lost sight of.
        lost = too_old - rules.trace_days * DAY_S
        counts = {"quarantine": 0}
        if rules.quarantine_days:
            days, since = rules.quarantine_days, now - rules.quarantine_days * DAY_S
            counts["quarantine"] = await self._in_batches(lambda one: self._end_quarantine(one, since, days), pause_s)
        counts["messages"] = await self._in_batches(lambda one: _forget_messages(one, too_old, lost), pause_s)
        for table, where in _others(too_old, now):
            counts[table.name] = counts.get(table.name, 0) + await self._in_batches(_rows_of(table, where), pause_s)
        if any(counts.values()):
            _log.info("retention", **counts)
        return counts

    async def _in_batches(self, batch: Batch, pause_s: float) -> int:
        """Do batches, each a transaction of its own, until one is not full."""
        total = 0
        while True:
            async with self._desk.database.writing() as connection:
                done = await batch(connection) if await self._is_ours(connection) else 0
            total += done
            if done < AT_ONCE:
                return total
            await asyncio.sleep(pause_s)

    async def _is_ours(self, connection: AsyncConnection) -> bool:
        """Whether no other recorder is at it; SQLite lets one write at a time as it is."""
        if self._desk.database.is_sqlite:
            return True
        return bool(await connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")))

    async def _end_quarantine(self, connection: AsyncConnection, since: float, days: int) -> int:
        """Delete held mail that came before a moment, and say so in its trace."""
        columns = quarantine.c
        query = (
            select(columns.id, columns.part, columns.recipients)
            .where(columns.state == HELD, columns.received_at < since)
            .order_by(columns.received_at)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        rows = (await connection.execute(query)).all()
        for row in rows:
            this = (columns.id == row.id) & (columns.part == row.part)
            gone = {"state": "deleted", "state_at": time.time(), "message": b""}
            await connection.execute(update(quarantine).where(this).values(gone))
            recipients = [name for name in (row.recipients or "").split(", ") if name]
            facts: Facts = {"by": "retention", "recipients": [*recipients], "days": days}
            await self._desk.tell(connection, row.id, EventKind.DELETED, facts)
        _forgotten.labels("quarantine").inc(len(rows))
        return len(rows)


async def _forget_messages(connection: AsyncConnection, too_old: float, lost: float) -> int:
    """Forget messages, whole: row, events and words."""
    columns = messages.c
    still_waits = columns.state.in_([state.value for state in WAITING])
    is_over = or_(columns.state.is_(None), ~still_waits, columns.last_seen < lost)
    # An expression, so that no planner goes through all that is held by the index of states.
    is_held = exists().where(quarantine.c.id == columns.id, func.coalesce(quarantine.c.state, "") == HELD)
    query = (
        select(columns.id, columns.first_seen)
        .where(columns.last_seen < too_old, is_over, ~is_held)
        .order_by(columns.last_seen)
        .limit(AT_ONCE)
    )
    rows = (await connection.execute(query)).all()
    if not rows:
        return 0
    names = [row.id for row in rows]
    times = [time_of(row.id, row.first_seen) for row in rows]
    of_them = message_words.c.at.in_(times) & message_words.c.id.in_(names)
    for table, where in ((message_words, of_them), (events, events.c.id.in_(names)), (messages, columns.id.in_(names))):
        await _delete(connection, table, where)
    return len(rows)


def _others(too_old: float, now: float) -> Sequence[tuple[Table, ColumnElement[bool]]]:
    """Return what else is forgotten: tables with what of them is too old."""
    return (
        (quarantine, (quarantine.c.state != HELD) & (quarantine.c.state_at < too_old)),
        (unreadable, unreadable.c.stored_at < too_old),
        (orders, orders.c.at < too_old),
        (failed_logins, failed_logins.c.at < now - _LOGINS_S),
        (sessions, sessions.c.ends_at < now),
    )


def _rows_of(table: Table, where: ColumnElement[bool]) -> Batch:
    """Return what deletes some rows of a table by their primary key."""
    key = list(table.primary_key.columns)

    async def batch(connection: AsyncConnection) -> int:
        rows = (await connection.execute(select(*key).where(where).limit(AT_ONCE))).all()
        for row in rows:
            this = [column == value for column, value in zip(key, row, strict=True)]
            await _delete(connection, table, *this)
        return len(rows)

    return batch


async def _delete(connection: AsyncConnection, table: Table, *where: ColumnElement[bool]) -> None:
    gone = await connection.execute(delete(table).where(*where))
    _forgotten.labels(table.name).inc(gone.rowcount)
