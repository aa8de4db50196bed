"""The SQL database, SQLite or PostgreSQL, by the same code (I/O).

Owns: the engine with its guards, transactions, and bringing the tables to this version.
On failure: sqlalchemy.exc.SQLAlchemyError or OSError; the caller decides whether that waits or ends.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

# The newest file in migrations/versions.
NEWEST_REVISION = "0006"
_BUSY_S = 30
_WAL_PAUSE_S = 0.02
_WRITES = "gatepost_writes"


class Database:
    """An engine and its transactions."""

    def __init__(self, url: str) -> None:
        self.url: URL = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)

    @property
    def where(self) -> str:
        """The address for people, without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for reading."""
        async with self._engine.connect() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is committed at the end, and undone by an error."""
        async with self._engine.connect() as connection:
            await connection.execution_options(**{_WRITES: True})
            async with connection.begin():
                yield connection

    async def revision(self) -> str | None:
        """Return which revision the tables are at, or None for a new database."""
        async with self.reading() as connection:
            return await connection.run_sync(_revision)

    async def migrate(self) -> bool:
        """Bring the tables to this version, whoever comes first. Returns whether there was something to do."""
        if await self.revision() == NEWEST_REVISION:
            return False
        async with self.writing() as connection:
            if not self.is_sqlite:
                # Two processes that start at once: the second waits here and then finds nothing to do.
                await connection.execute(text("SELECT pg_advisory_xact_lock(7047257)"))
            await connection.run_sync(_upgrade)
        return True

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _to_wal(cursor: DBAPICursor) -> None:
    """Have a file kept in WAL mode. SQLite does not wait for its lock here, as it does elsewhere: we do."""
    give_up_at = time.monotonic() + _BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            await_only(asyncio.sleep(_WAL_PAUSE_S))


def _sqlite_engine(url: URL) -> AsyncEngine:
    if url.database and url.database != ":memory:":
        _make_private(Path(url.database))
    engine = create_async_engine(url, connect_args={"timeout": _BUSY_S})

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # sqlite3 begins transactions by rules of its own, and late; `_begin` does it instead.
        connection.isolation_level = None
        cursor = connection.cursor()
        _to_wal(cursor)
        # A row must be on the disk before its message is acknowledged.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        # A reader that turns writer may fail at once with "database is locked": writers say so at the start.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> AsyncEngine:
    return create_async_engine(url, pool_pre_ping=True, pool_size=5, connect_args={"timeout": 8, "command_timeout": 60})


def _make_private(path: Path) -> None:
    """Quarantined mail and password verifiers are in the file: its owner's alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        if os.geteuid() == 0:
            # A command of root's may come before the console, which could not open a file of root's.
            folder = path.parent.stat()
            os.fchown(made, folder.st_uid, folder.st_gid)
        os.close(made)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(found) if found is not None else None


def _upgrade(connection: Connection) -> None:
    # Imported here: it costs more time than most commands take, and is needed once.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "services.console:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
