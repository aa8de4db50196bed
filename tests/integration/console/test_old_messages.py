"""Messages that were written before there were words to find them by."""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from services.console.actions.search import Search, find_messages
from services.console.database import Database
from shared.ids import make_id
from tests.integration.console.postgres import Postgres
from tests.integration.console.told import desk_of


def _up_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "services.console:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def _finds_old_ones(url: str, folder: Path) -> None:
    database = Database(url)
    name = make_id(int(time.time() * 1000), 1)
    try:
        async with database.writing() as connection:
            await connection.run_sync(_up_to, "0004")
            await connection.execute(
                text(
                    "INSERT INTO messages (id, first_seen, last_seen, sender, recipients, client, subject) VALUES "
                    f"('{name}', 1, 2, 'a@x.example', 'b@y.example, c@z.example', '192.0.2.7', 'An old invoice')"
                )
            )
        assert await database.migrate()
        for words in ("a@x.example", "@z.example", "192.0.2.7", "old invoice"):
            found = await find_messages(desk_of(database, folder), Search(words))
            assert [one.id for one in found.items] == [name], words
    finally:
        await database.close()


async def test_an_upgrade_makes_them_be_found(tmp_path: Path) -> None:
    await _finds_old_ones(f"sqlite+aiosqlite:///{tmp_path}/old.db", tmp_path)


async def test_an_upgrade_of_postgresql_does_too(postgres: Postgres, tmp_path: Path) -> None:
    await _finds_old_ones(await postgres.fresh("old_messages"), tmp_path)
