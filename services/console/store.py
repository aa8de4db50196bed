"""Writing the trace and the quarantine (I/O: SQL).

Owns: the statements that write what came from RabbitMQ. Each may run twice with the same rows and change nothing.
Rows are tuples for a prepared statement, many in one call: six facts a message leave no time for objects.
On failure: sqlalchemy.exc.SQLAlchemyError, and nothing of the transaction is written.
"""

from collections.abc import Sequence
from dataclasses import astuple
from operator import attrgetter

from sqlalchemy import Dialect, Table, case, delete, func, literal_column, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.held import HeldMail
from services.console.rows import EventRow, Summary, summaries_in_order
from services.console.seen import HopRow, SeenRow
from services.console.tables import (
    dmarc_seen,
    events,
    hops,
    message_words,
    messages,
    quarantine,
    tls_seen,
    unreadable,
)
from services.console.words import time_of

Insert = sqlite.Insert | postgresql.Insert
Row = tuple[object, ...]
WordRow = tuple[str, float, str]
_WORDS_AS_ARRAYS = (
    "INSERT INTO message_words (word, at, id) SELECT * FROM unnest($1::text[], $2::float8[], $3::text[]) "
    "ON CONFLICT DO NOTHING"
)
# A hop that no process has told of for so long is none of ours any more, or the process is gone.
HOP_KEPT_S = 30 * 86_400


class Store:
    """The statements, made for one kind of database."""

    def __init__(self, *, is_sqlite: bool) -> None:
        assert list(EventRow._fields) == [column.name for column in events.columns], "an event row is its table's row"
        make = sqlite.insert if is_sqlite else postgresql.insert
        dialect: Dialect = sqlite.dialect() if is_sqlite else postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]
        self._events = _sql(make(events).on_conflict_do_nothing(), dialect)
        self._messages = _sql(_merge(make(messages)), dialect)
        self._words = _sql(make(message_words).on_conflict_do_nothing(), dialect) if is_sqlite else _WORDS_AS_ARRAYS
        self._is_sqlite = is_sqlite
        self._quarantine = _sql(_hold(make(quarantine)), dialect)
        self._unreadable = _sql(make(unreadable).on_conflict_do_nothing(), dialect)
        self._dmarc = _sql(make(dmarc_seen).on_conflict_do_nothing(), dialect)
        self._tls = _sql(make(tls_seen).on_conflict_do_nothing(), dialect)
        self._hops = _sql(_latest_of_hop(make(hops)), dialect)

    async def write_events(
        self, connection: AsyncConnection, rows: Sequence[EventRow], summaries: dict[str, Summary]
    ) -> None:
        """Write events, and merge what they say about each id into its row, and into the words it is found by."""
        await _many(connection, self._events, rows)
        merged = summaries_in_order(summaries.values())
        await _many(connection, self._messages, list(map(_columns_of(messages), merged)))
        await self._write_words(connection, word_rows(merged))

    async def _write_words(self, connection: AsyncConnection, rows: Sequence[WordRow]) -> None:
        """Write words. They are ten rows a message: PostgreSQL takes arrays of them for half of what rows cost."""
        if self._is_sqlite or not rows:
            await _many(connection, self._words, rows)
        else:
            await connection.exec_driver_sql(self._words, tuple(map(list, zip(*rows, strict=True))))

    async def write_held(self, connection: AsyncConnection, mails: Sequence[HeldMail]) -> None:
        """Write mail into the quarantine. What comes again after its release is held again: none is ever dropped."""
        await _many(connection, self._quarantine, [astuple(mail) for mail in mails])

    async def write_dmarc(self, connection: AsyncConnection, rows: Sequence[SeenRow]) -> None:
        """Write what DMARC reports to domain owners are made of."""
        await _many(connection, self._dmarc, rows)

    async def write_tls(self, connection: AsyncConnection, rows: Sequence[SeenRow]) -> None:
        """Write what reports on TLS to domain owners are made of."""
        await _many(connection, self._tls, rows)

    async def write_hops(self, connection: AsyncConnection, rows: Sequence[HopRow], now: float) -> None:
        """Write how hops are, and forget those of which nobody has told for long. now: Unix seconds."""
        # In one order, so that two recorders never wait for each other in a circle.
        await _many(connection, self._hops, sorted(rows, key=lambda row: (row[0], row[1], row[5])))
        if rows:
            await connection.execute(delete(hops).where(hops.c.at < now - HOP_KEPT_S))

    async def write_unreadable(self, connection: AsyncConnection, row: Row) -> None:
        """Write what has no other place. row: digest, queue, cause, headers, body, stored_at."""
        await _many(connection, self._unreadable, [row])


def word_rows(summaries: Sequence[Summary]) -> list[WordRow]:
    """Return the words of messages as rows, in one order whichever recorder writes them."""
    rows: list[WordRow] = []
    for summary in summaries:
        if summary.words:
            at = time_of(summary.id, summary.first_seen)
            rows += [(word, at, summary.id) for word in summary.words]
    return rows


async def answers(connection: AsyncConnection) -> bool:
    """Whether the database answers at all."""
    return (await connection.execute(text("SELECT 1"))).scalar() == 1


async def _many(connection: AsyncConnection, statement: str, rows: Sequence[Row]) -> None:
    if rows:
        await connection.exec_driver_sql(statement, list(rows))


def _columns_of(table: Table) -> "attrgetter[Row]":
    return attrgetter(*(column.name for column in table.columns))


def _sql(statement: Insert, dialect: Dialect) -> str:
    compiled = statement.compile(dialect=dialect)
    expected = [column.name for column in statement.table.columns]
    assert compiled.positiontup == expected, "rows are tuples in the order of the table's columns"
    return str(compiled)


def _merge(statement: Insert) -> Insert:
    """An id's row: the widest span of time, what was known or is now, and the latest state."""
    new, old = statement.excluded, messages.c
    later = new.state.is_not(None) & (old.state_at.is_(None) | (new.state_at >= old.state_at))
    known = ("listener", "client", "sender", "recipients", "subject", "size_bytes", "verdict", "parent")
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "first_seen": case((new.first_seen < old.first_seen, new.first_seen), else_=old.first_seen),
            "last_seen": case((new.last_seen > old.last_seen, new.last_seen), else_=old.last_seen),
            "state": case((later, new.state), else_=old.state),
            "state_at": case((later, new.state_at), else_=old.state_at),
            # What is waited for belongs to the state, also where that is nothing.
            **{name: case((later, new[name]), else_=old[name]) for name in ("hop", "not_before", "waits_for")},
            **{name: func.coalesce(new[name], old[name]) for name in known},
        },
    )


def _latest_of_hop(statement: Insert) -> Insert:
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["hop", "host"],
        set_={name: new[name] for name in ("state", "cause", "until", "at")},
        where=new.at >= hops.c.at,
    )


def _hold(statement: Insert) -> Insert:
    kept = {"id", "part"}
    return statement.on_conflict_do_update(
        index_elements=["id", "part"],
        set_={column.name: statement.excluded[column.name] for column in quarantine.c if column.name not in kept},
        where=quarantine.c.state != literal_column("'held'"),
    )
