"""`gatepost account braked` and `unbrake`, on a real Redis: what content holds back is what an administrator lifts."""

import asyncio
from pathlib import Path

import pytest

from services.content.brake import Brake
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.policy.content import BrakeRules
from shared.state.fallback import FallbackState
from shared.verdict import Action, CheckName, Reason, Verdict
from tests.integration.console.command import Gatepost
from tests.rabbit import Rabbit
from tests.redis import RedisServer

RULES = BrakeRules.model_validate({"spam": "1/h"})
SPAM = [Verdict(Action.TAG, (Reason(CheckName.ANTISPAM, "spam", Action.TAG, "why", "outbound.antispam.tag_at"),))]


def envelope(number: int) -> Envelope:
    client = Client("192.0.2.1", 4000, "laptop", login="Ann")
    recipients = (Recipient("demo@far.test"),)
    return Envelope(f"id{number}", 0, "submission", Direction.OUTBOUND, client, "ann@ours.test", recipients, 100)


@pytest.fixture
def gatepost(rabbit: Rabbit, tmp_path: Path, redis_server: RedisServer) -> Gatepost:
    """The command, whose settings name a Redis."""
    made = Gatepost(tmp_path, rabbit)
    with made.file.open("a") as file:
        file.write(f"[redis]\nport = {redis_server.port}\n")
    return made


def at_content(server: RedisServer, spam: int) -> bool:
    """Have one content worker judge so much spam of an account, and another say whether its mail is held back."""

    async def ask() -> bool:
        states = [FallbackState(server.settings) for _ in range(2)]
        for state in states:
            await state.start()
        try:
            one, other = map(Brake, states)
            for number in range(spam):
                await one.count(envelope(number), SPAM, RULES)
            finding = await other.finding(envelope(9), RULES)
            return finding is not None and finding.rule == "braked"
        finally:
            for state in states:
                await state.close()

    return asyncio.run(ask())


def test_an_account_is_held_back_by_all_workers_until_an_administrator_lifts_it(
    gatepost: Gatepost, redis_server: RedisServer
) -> None:
    assert "No account is held back" in gatepost("account", "braked").stdout
    assert not at_content(redis_server, 1)
    assert at_content(redis_server, 1)
    listed = gatepost("account", "braked").stdout
    assert "ann" in listed
    assert "id0" in listed
    assert gatepost("account", "unbrake", "ANN").exit_code == 0
    assert not at_content(redis_server, 0)
    again = gatepost("account", "unbrake", "ann")
    assert again.exit_code != 0
    assert "not held back" in again.stderr
