"""The policy at every stage: three services as processes of their own, on a real broker, follow what is on the stream.

How long each took is told by its own log: from the entry's own time to the line with which it took it.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from shared.policy_entry import PolicyEntry
from tests.clamd import Clamd
from tests.dnsserver import DnsServer
from tests.gateway import Gateway
from tests.integration.console.policy_scene import publish
from tests.rabbit import Rabbit

STAGES = ("edge", "content", "delivery")
TEXT = '[listeners.mx]\npurpose = "inbound"\n[domains."sink.test"]\nrecipients = "any"\nroute = "maildir:mail"\n'
# What the design asks for.
SOON_S = 2.0


class Stages:
    """The gateway, and what each of its stages says of its policy."""

    def __init__(self, gateway: Gateway, rabbit: Rabbit, folder: Path) -> None:
        self.gateway = gateway
        self._rabbit = rabbit
        self._folder = folder

    async def publish(self, version: int, text: str = TEXT, confirm_in_s: float | None = None) -> PolicyEntry:
        now = time.time()
        confirm_by = None if confirm_in_s is None else now + confirm_in_s
        entry = PolicyEntry(version, "test", "test", now, f"# {version}\n{text}", confirm_by)
        await publish(self._rabbit, entry)
        return entry

    async def version(self, stage: str) -> int:
        _, said = await self.gateway._get(stage, "/readyz")
        found = re.search(r"^policy version (\d+)$", said, re.MULTILINE)
        assert found, said
        return int(found[1])

    async def run(self, version: int, *stages: str) -> None:
        """Wait until stages, all of them if none is named, say that they run a version."""
        async with asyncio.timeout(60):
            for stage in stages or STAGES:
                while await self.version(stage) != version:
                    await asyncio.sleep(0.05)

    def said(self, stage: str, event: str) -> list[dict[str, object]]:
        """Return the lines of a stage's log with an event."""
        lines = (self._folder / f"{stage}.log").read_text("utf-8").splitlines()
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [record for record in records if record.get("event") == event]

    def taken_at(self, stage: str, version: int) -> list[float]:
        """Return when a stage's processes took a version."""
        lines = self.said(stage, "policy-in-force")
        times = [str(line["timestamp"]) for line in lines if line["version"] == version]
        return [datetime.fromisoformat(text).timestamp() for text in times]


@pytest.fixture
async def stages(tmp_path: Path, rabbit: Rabbit, clamd: Clamd) -> AsyncIterator[Stages]:
    async with DnsServer({}) as nameserver:
        gateway = Gateway(tmp_path, rabbit, clamd, nameserver.address)
        try:
            await gateway.open({"sink.test": "maildir:mail"}, content_workers=1)
            yield Stages(gateway, rabbit, tmp_path)
        finally:
            await gateway.close()


async def test_all_stages_follow_the_policy_and_none_takes_what_it_cannot_use(stages: Stages) -> None:
    await stages.run(1)

    # A new version is in force at each within two seconds.
    entry = await stages.publish(2)
    await stages.run(2)
    for stage in STAGES:
        times = stages.taken_at(stage, 2)
        assert times
        assert max(times) - entry.at < SOON_S, (stage, times, entry.at)

    # What nobody can use is refused by each, and the last good one stays.
    await stages.publish(3, "nonsense = 1\n")
    async with asyncio.timeout(30):
        for stage in STAGES:
            while await stages.gateway.metric(stage, "gatepost_policy_refused_version") != 3:
                await asyncio.sleep(0.05)
    for stage in STAGES:
        assert await stages.version(stage) == 2
        assert await stages.gateway.metric(stage, "gatepost_policy_version") == 2
        assert any("nonsense" in str(line["cause"]) for line in stages.said(stage, "policy-refused"))

    # What nobody confirms goes back in all of them, by itself and at its time.
    waiting = await stages.publish(4, confirm_in_s=4)
    await stages.run(4)
    await stages.run(2)
    assert waiting.confirm_by is not None
    for stage in STAGES:
        again = max(stages.taken_at(stage, 2))
        assert waiting.confirm_by <= again + 0.1
        assert again - waiting.confirm_by < SOON_S, stage

    # One that was down takes at its start what the others run: past what is over and what cannot be used.
    assert await stages.gateway.stop("delivery") == 0
    await stages.publish(5, confirm_in_s=1)
    entry = await stages.publish(6)
    await stages.publish(7, "nonsense = 1\n")
    await stages.run(6, "edge", "content")
    await stages.gateway.start("delivery")
    await stages.gateway.ready()
    await stages.run(6)

    # And back to an earlier document, as a new version.
    await stages.publish(8)
    await stages.run(8)
