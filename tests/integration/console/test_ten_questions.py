"""A postmaster's ten questions, answered as docs/operations.md says: by the console and by the command."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.console.actions.policies import confirm, policy_now
from services.console.database import Database
from services.console.identity.rights import Role
from tests.clamd import Clamd
from tests.integration.console.ten_questions import ATTACKER, HOP, MESSAGE, Gateway, Row, gateway, rows, words_of
from tests.integration.console.walk import Walk
from tests.rabbit import Rabbit
from tests.redis import RedisServer

_STEPS = 3
_PATIENCE_S = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What the last page says, what was seen on the way, and what the commands say; exit: of the last of them."""

    page: tuple[str, ...]
    told: tuple[str, ...]
    seen: tuple[str, ...] = ()
    exit: int = 0


_REFUSED = ("[checks.antivirus] infected", "Eicar-Test-Signature", "The sender can send it again without the infected")
ANSWERS = {
    "Why was this mail refused?": Answer(_REFUSED, _REFUSED),
    "Where is the mail from X to Y of yesterday at ten?": Answer(
        ("Delivered: smtp://h:25 has it", "lunch"), ("Delivered: smtp://h:25 has it",), seen=("too early",)
    ),
    "Why does mail to this domain wait, and until when?": Answer(
        ("451 4.3.2 busy", "Next try", "10 min"), ("451 4.3.2 busy", HOP)
    ),
    "Who logged in from this address, and what did they send?": Answer(
        ("carol@example.org", "x@far.test", "a bill"), ("carol@example.org", "x@far.test", "a bill")
    ),
    "Which address is attacking us, and what happens to it?": Answer(
        (ATTACKER, "refused", "submission"),
        (ATTACKER, "login or password is wrong"),
        seen=("login or password is wrong",),
    ),
    "What changed before it broke, and how do I take it back?": Answer(
        ("Confirm: it stays",),
        ("nobody needs info any more", '-aliases = {info = "ann"}', "back to version 6"),
        seen=("nobody needs info any more", "+aliases = {info = &#34;ann&#34;}"),
    ),
    "What would this message meet today?": Answer(
        ("Nothing that is known beforehand would refuse it.", "550 5.7.1 Message refused: malware found"),
        ("goes to ann@example.org", "550 5.7.1 Message refused: malware found"),
        exit=1,
    ),
    "Release this, and let the sender through": Answer(
        ("It is released, and its sender is let through from now on.",), ("its sender is let through from now on",)
    ),
    "Is every engine well and up to date?": Answer(("clamd", "well"), ("clamd",), exit=1),
    "Can I take this machine down now?": Answer(("127.0.0.1",), ("127.0.0.1",), exit=1),
}
ROWS = rows()


def test_the_table_has_the_ten_questions_each_in_at_most_three_steps() -> None:
    assert [row.question for row in ROWS] == list(ANSWERS)
    assert {row.question: (len(row.console), len(row.commands)) for row in ROWS if len(row.console) > _STEPS} == {}
    assert all(1 <= len(row.commands) <= _STEPS for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.question)
async def test_each_is_answered_by_the_console_and_by_the_command(
    row: Row, rabbit: Rabbit, clamd: Clamd, redis_server: RedisServer, sqlite: Database, tmp_path: Path
) -> None:
    answer = ANSWERS[row.question]
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    async with gateway(rabbit, sqlite, tmp_path, redis_server, clamd, row=row) as (made, command):
        async with made.site.browser(Role.ADMINISTRATOR) as browser:
            await _by_the_console(made, row, answer, browser)
        await _settle(made)
        await made.as_before(versions=1)
        await command.log_in(Role.ADMINISTRATOR)
        told = ""
        exits: list[int] = []
        for line in row.commands:
            done = await command(*words_of(made.filled(line, row.question), tmp_path))
            told, exits = told + done.output, [*exits, done.exit_code]
        assert [part for part in answer.told if part not in told] == [], told
        assert exits == [0] * (len(exits) - 1) + [answer.exit], told


async def _by_the_console(made: Gateway, row: Row, answer: Answer, browser: httpx.AsyncClient) -> None:
    walk = Walk(browser, {"message.eml": MESSAGE})
    await walk.begin()
    for step in row.console:
        await walk.step(made.filled(step, row.question))
    async with asyncio.timeout(_PATIENCE_S):
        # The overview asks engines and broker behind the page.
        while row.console == ("*Overview*",) and 'class="badge good">well' not in walk.seen[-1]:
            await asyncio.sleep(0.2)
            await walk.step("*Overview*")
    last = walk.seen[-1]
    assert [part for part in answer.page if part not in last] == [], last.partition("<main")[2]
    assert [part for part in answer.seen if not any(part in page for page in walk.seen)] == []


async def _settle(made: Gateway) -> None:
    """Have stay what waits for its confirmation: nothing else can be changed meanwhile."""
    now = await policy_now(made.host)
    if now is not None and now.waits:
        await confirm(made.host, now.entry.version)
