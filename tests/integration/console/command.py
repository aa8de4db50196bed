"""Running the command `gatepost` against a real broker and a database of its own."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog
from click.testing import Result
from typer.testing import CliRunner

from infra.local.ports import free_ports
from services.console.cli.main import app
from services.console.database import Database
from services.console.held import held_mail
from services.console.rows import Summary, event_rows
from services.console.store import Store
from shared.broker.connect import open_connection
from shared.envelope import Envelope
from shared.event import Event, encode_events
from shared.wire import MAIL_TYPE, QuarantineNote, mail_headers
from tests.integration.console.mail import MESSAGE, NOTE
from tests.rabbit import Rabbit

Got = TypeVar("Got")


class Gatepost:
    """A settings file, and the command that uses it."""

    def __init__(self, folder: Path, rabbit: Rabbit, database_url: str | None = None, *, admin: bool = True) -> None:
        self.rabbit = rabbit
        self.folder = folder
        self.url = database_url or f"sqlite+aiosqlite:///{folder}/gatepost.db"
        self.health_port = free_ports(1)[0]
        self.file = folder / "console.toml"
        self.file.write_text(self._toml(admin=admin))
        self.file.chmod(0o600)

    @property
    def environment(self) -> dict[str, str]:
        # Tables are as wide as the terminal, which is not the same for each process that runs tests.
        return {"GATEPOST_SETTINGS_FILE": str(self.file), "COLUMNS": "160"}

    def __call__(self, *arguments: str, typed: str | None = None) -> Result:
        """Run the command in this process."""
        before = structlog.get_config()
        try:
            return CliRunner().invoke(app, arguments, input=typed, env=self.environment)
        finally:
            structlog.configure(**before)

    def process(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command as a process of its own."""
        command = [sys.executable, "-W", "error", "-m", "services.console.cli.main", *arguments]
        env = os.environ | self.environment
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def write(
        self,
        events: Sequence[Event] = (),
        held: Sequence[tuple[Envelope, QuarantineNote]] = (),
        message: bytes = MESSAGE,
    ) -> None:
        """Write what the recorder would."""

        async def write(database: Database) -> None:
            store = Store(is_sqlite=database.is_sqlite)
            summaries: dict[str, Summary] = {}
            rows = event_rows(encode_events(events), summaries)
            mails = [
                held_mail(message, mail_headers(mail, note=note), MAIL_TYPE, mail.id, mail.received_at)
                for mail, note in held
            ]
            async with database.writing() as connection:
                await store.write_events(connection, rows, summaries)
                await store.write_held(connection, mails)

        self.with_database(write)

    def hold(self, mail: Envelope, note: QuarantineNote = NOTE, message: bytes = MESSAGE) -> None:
        self.write(held=[(mail, note)], message=message)

    def with_database(self, work: Callable[[Database], Awaitable[Got]]) -> Got:
        async def run() -> Got:
            database = Database(self.url)
            try:
                await database.migrate()
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(run())

    def take(self, user: str, queue: str) -> Any:
        """Take one message from a queue as a service would."""

        async def take() -> Any:
            connection = await open_connection(self.rabbit.settings(user), "test-take")
            try:
                channel = await connection.channel()
                found = await (await channel.get_queue(queue, ensure=False)).get(timeout=5, fail=False)
                if found is not None:
                    await found.ack()
                return found
            finally:
                await connection.close()

        return asyncio.run(take())

    def _toml(self, *, admin: bool) -> str:
        console, root = self.rabbit.settings("console"), self.rabbit.settings("admin")
        text = f"""
hostname = "gate.gatepost.test"
[broker]
port = {console.port}
user = "console"
password = "{console.password.get_secret_value()}"
[health]
port = {self.health_port}
[database]
url = "{self.url}"
[management]
url = "{self.rabbit.management_url}"
user = "admin"
password = "{root.password.get_secret_value()}"
[services]
edge = "http://127.0.0.1:1"
content = "http://127.0.0.1:1"
delivery = "http://127.0.0.1:1"
recorder = "http://127.0.0.1:{self.health_port}"
[dns]
nameservers = []
[doctor]
policy_file = "{self.folder}/policy.toml"
"""
        return text + (f'[admin]\nuser = "admin"\npassword = "{root.password.get_secret_value()}"\n' if admin else "")
