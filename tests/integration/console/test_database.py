"""The database itself, SQLite and PostgreSQL."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from services.console.database import NEWEST_REVISION, Database
from services.console.identity import tables as _users_too  # noqa: F401 - they are of the same metadata
from services.console.tables import metadata
from tests.integration.console.postgres import Postgres


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrations_make_the_tables_of_this_version(database: Database) -> None:
    assert await database.revision() == NEWEST_REVISION
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_migrated_database_is_left_alone(database: Database) -> None:
    assert await database.migrate() is False


async def test_two_that_start_at_once_migrate_once(tmp_path: Path, postgres: Postgres) -> None:
    for url in (f"sqlite+aiosqlite:///{tmp_path}/both.db", await postgres.fresh("both")):
        pair = [Database(url), Database(url)]
        await asyncio.gather(*(one.migrate() for one in pair))
        assert [await one.revision() for one in pair] == [NEWEST_REVISION] * 2
        for one in pair:
            await one.close()


async def test_several_that_make_one_file_at_once_wait_for_its_wal_mode(tmp_path: Path) -> None:
    for number in range(20):
        several = [Database(f"sqlite+aiosqlite:///{tmp_path}/{number}.db") for _ in range(4)]
        await asyncio.gather(*(one.migrate() for one in several))
        for one in several:
            await one.close()


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/new/gatepost.db")
    await database.migrate()
    await database.close()
    assert stat.S_IMODE((tmp_path / "new" / "gatepost.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a file for somebody else")
async def test_a_file_that_root_makes_first_is_the_folders_owners(tmp_path: Path) -> None:
    """As when root's `gatepost topology apply` is quicker than the console that was started before it."""
    os.chown(tmp_path, 12345, 12346)
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/gatepost.db")
    await database.migrate()
    found = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()}
    await database.close()
    assert set(found) == {"gatepost.db", "gatepost.db-wal", "gatepost.db-shm"}
    assert set(found.values()) == {(12345, 12346)}


def test_the_address_for_people_has_no_password() -> None:
    assert "secret" not in Database("postgresql+asyncpg://gatepost:secret@127.0.0.1:1/x").where
