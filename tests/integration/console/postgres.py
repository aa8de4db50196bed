"""A private PostgreSQL cluster for tests, on a free port, gone with its folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from infra.local.ports import free_ports


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs, or None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


class Postgres:
    """A running cluster. `fresh` gives each test a database of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "log"
        self._programs = programs
        self.port = free_ports(1)[0]
        # initdb refuses root; Debian's package brings the user postgres.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)

    def start(self) -> None:
        if not self._data.exists():
            self._run("initdb", "-D", str(self._data), "-U", "gatepost", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._log), "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    async def fresh(self, name: str) -> str:
        """Return the URL of a new, empty database."""
        connection = await asyncpg.connect(host="127.0.0.1", port=self.port, user="gatepost", database="postgres")
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return f"postgresql+asyncpg://gatepost@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        # pg_ctl's child keeps its standard output: a pipe would never end.
        with tempfile.TemporaryFile() as out:
            done = subprocess.run(command, user=self._user, cwd="/", stdout=out, stderr=out, check=False, timeout=60)
            out.seek(0)
            assert done.returncode == 0, out.read().decode()


def private_cluster() -> Iterator[Postgres | None]:
    """Yield a started cluster, or None where PostgreSQL is not installed."""
    programs = binaries()
    if programs is None:
        yield None
        return
    # Not under pytest's folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp(prefix="gatepost-postgres-"))
    cluster = Postgres(folder, programs)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)
