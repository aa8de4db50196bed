"""The commands that docs/operations.md gives for the database's backup bring everything back."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from infra.local.layout import REPOSITORY
from services.console.database import Database
from tests.integration.console.postgres import Postgres

PAGE = (REPOSITORY / "docs/operations.md").read_text()


async def fill(url: str) -> None:
    database = Database(url)
    await database.migrate()
    async with database.writing() as connection:
        await connection.execute(text("CREATE TABLE proof (word TEXT)"))
        await connection.execute(text("INSERT INTO proof VALUES ('kept')"))
    await database.close()


async def kept(url: str) -> list[str]:
    database = Database(url)
    # A restored database is one that this version takes.
    assert not await database.migrate()
    async with database.reading() as connection:
        words = list((await connection.execute(text("SELECT word FROM proof"))).scalars())
    await database.close()
    return words


async def test_sqlite_comes_back_from_the_copy_that_the_page_makes(tmp_path: Path) -> None:
    live, copy, restored = (tmp_path / name for name in ("live.db", "copy.db", "restored.db"))
    await fill(f"sqlite+aiosqlite:///{live}")
    line = re.search(r"python3 -c '(import sqlite3;.*)'", PAGE)
    assert line is not None
    script = line[1].replace("/var/lib/gatepost-console/gatepost.db", str(live))
    script = script.replace("/var/backups/gatepost.db", str(copy))
    open_still = Database(f"sqlite+aiosqlite:///{live}")
    async with open_still.reading():
        subprocess.run([sys.executable, "-c", script], check=True)
    await open_still.close()
    copy.rename(restored)
    assert await kept(f"sqlite+aiosqlite:///{restored}") == ["kept"]


async def test_postgresql_comes_back_from_the_dump_that_the_page_makes(tmp_path: Path, postgres: Postgres) -> None:
    await fill(await postgres.fresh("backup_live"))
    restored = await postgres.fresh("backup_restored")
    for command, name, instead in (
        ("pg_dump", "backup_live", "gatepost"),
        ("pg_restore", "backup_restored", "gatepost"),
    ):
        line = re.search(rf"^    ({command} [^#\n]*?) *(?:#.*)?$", PAGE, re.MULTILINE)
        assert line is not None
        words = line[1].replace("/var/backups/", "").replace("gatepost.pgdump", str(tmp_path / "dump")).split()
        words = [re.sub(rf"^(--dbname=)?{instead}$", rf"\g<1>{name}", word) for word in words]
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": "gatepost"}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **where})
        assert done.returncode == 0, done.stderr
    assert await kept(restored) == ["kept"]
