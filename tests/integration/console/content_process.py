"""A real content process beside a console's tests, with the engines that it is given."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiormq.exceptions import ChannelNotFoundEntity

from infra.local.ports import free_ports
from shared.broker.connect import open_connection
from shared.broker.topology import Queue
from shared.settings import FILE_VARIABLE
from tests.clamd import Clamd
from tests.rabbit import Rabbit
from tests.rspamd import Rspamd

_ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def content_process(folder: Path, rabbit: Rabbit, clamd: Clamd, rspamd: Rspamd | None) -> AsyncIterator[None]:
    """Run it until the end of a `with`; it takes trials when that begins. A policy must be in force."""
    file = folder / "content.toml"
    broker = rabbit.settings("content")
    engine = f'addresses = ["{rspamd.address}"]' if rspamd else 'engine = "none"'
    file.touch(mode=0o600)
    file.write_text(
        f'hostname = "gate.gatepost.test"\nworkers = 1\n[broker]\nport = {broker.port}\nuser = "content"\n'
        f'password = "{broker.password.get_secret_value()}"\n[health]\nport = {free_ports(1)[0]}\n'
        f'[dns]\nnameservers = []\n[clamd]\naddresses = ["{clamd.address}"]\n[antispam]\n{engine}\n'
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}
    with (folder / "content.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.content"],
            cwd=_ROOT,
            env=environ | {FILE_VARIABLE: str(file)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(60):
            while not await takers(rabbit):
                assert process.poll() is None, (folder / "content.log").read_text()
                await asyncio.sleep(0.1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)


async def takers(rabbit: Rabbit) -> int:
    """Return how many content processes take trials."""
    connection = await open_connection(rabbit.settings("admin"), "test-takers")
    async with connection:
        channel = await connection.channel(publisher_confirms=False)
        try:
            declared = await (await channel.get_underlay_channel()).queue_declare(Queue.TRIAL.value, passive=True)
        except ChannelNotFoundEntity:
            return 0
        return declared.consumer_count or 0
