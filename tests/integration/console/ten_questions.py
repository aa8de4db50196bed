"""The table of the postmaster's ten questions in docs/operations.md, and a gateway at which each can be asked."""

import re
import shlex
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from services.console.actions.policies import active_policy, apply_policy
from services.console.database import Database
from services.console.identity.rights import on_this_host
from services.console.settings import DoctorSettings, ManagementSettings
from services.console.web.backstage import Backstage
from services.edge.bans import Bans
from shared.event import Event, EventKind, Stage
from shared.policy import parse_policy
from shared.state.fallback import FallbackState
from tests.clamd import EICAR, Clamd
from tests.fakes import FakeEvents
from tests.integration.console.content_process import content_process
from tests.integration.console.elsewhere import Elsewhere, serving
from tests.integration.console.mail import event
from tests.integration.console.policy_scene import PolicyScene
from tests.integration.console.quarantined import hold
from tests.integration.console.site import Site
from tests.integration.console.told import delivered, id_at, mail, write
from tests.rabbit import Rabbit
from tests.redis import RedisServer

_DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"
_HEADING = "## A postmaster's ten questions"
YESTERDAY_AT_TEN = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()
ANN, BOB = "ann@example.org", "bob@example.net"
ATTACKER = "203.0.113.66"
HOP = "smtp://mail.example.org:25"
# Seven versions: the last takes the alias away, and mail to it bounces.
_POLICY = """[checks.dmarc]
enabled = false
[domains."example.org"]
route = "smtp://mail.example.org:25"
recipients = ["ann"]
"""
_WITH_ALIAS = _POLICY + 'aliases = {info = "ann"}\n'
MESSAGE = b"From: Bob <bob@example.net>\nTo: ann@example.org\nSubject: a bill\n\nSee below.\n" + EICAR + b"\n"
_OFFER = b"From: Bob <bob@example.net>\r\nTo: ann@example.org\r\nSubject: An offer\r\n\r\nCheap.\r\n"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. console: steps. commands: without the quotes of the document."""

    question: str
    console: tuple[str, ...]
    commands: tuple[str, ...]


def rows() -> list[Row]:
    """Read the table."""
    section = _DOCUMENT.read_text("utf-8").partition(_HEADING)[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    found = []
    for line in lines[1:]:
        question, console, _, commands = (cell.strip() for cell in line.strip("|").split(" | "))
        found.append(Row(question, tuple(console.split(" → ")), tuple(re.findall(r"`(gatepost [^`]+)`", commands))))
    return found


class Gateway(PolicyScene):
    """A console with stories, held mail, bans and policies; ids by what `ID` and `PART` stand for in the document."""

    def __init__(self, rabbit: Rabbit, database: Database, folder: Path, redis: RedisServer, clamd: Clamd) -> None:
        super().__init__(rabbit, database, folder, redis.settings)
        admin = rabbit.settings("admin")
        more = {
            "management": ManagementSettings(url=rabbit.management_url, user=admin.user, password=admin.password),
            "doctor": DoctorSettings(clamd=[clamd.address]),
        }
        settings = self.backstage.settings.model_copy(update=more)
        self.backstage: Backstage = replace(self.backstage, settings=settings)
        self.site = Site(self.backstage)
        self.host = self.backstage.desk(on_this_host("root"))
        self.database = database
        self.redis = redis
        self.refused = id_at(time.time() - 600)
        self.delivered = id_at(YESTERDAY_AT_TEN)
        self.copy = ("", "")

    async def fill(self) -> None:
        """Make all that the questions are about, but the policy."""
        now = time.time()
        await write(
            self.database,
            _refused(self.refused, now - 600),
            delivered(mail(YESTERDAY_AT_TEN, BOB, ANN, subject="lunch"), YESTERDAY_AT_TEN + 2),
            mail(YESTERDAY_AT_TEN - 7200, BOB, ANN, subject="too early"),
            _waits(now - 300),
            mail(now - 90 * 86_400, "carol@example.org", "x@far.test", login="carol@example.org", subject="a bill"),
            [_turned_away(now - 60)],
        )
        state = FallbackState(self.redis.settings)
        await state.start()
        try:
            bans = parse_policy("[bans]\nthreshold = 10")
            await Bans(state, FakeEvents()).punish(ATTACKER, 10, "login-failed", bans)
        finally:
            await state.close()

    async def as_before(self, *, versions: int) -> None:
        """Bring back what the last way has changed: the document in force, and a held copy."""
        entry = await active_policy(self.host)
        if entry is None:
            for number in range(1, versions):
                await apply_policy(self.host, _WITH_ALIAS + f"# {number}\n", f"change {number}")
            entry = await active_policy(self.host)
        assert entry is None or entry.confirm_by is None, "the test confirms what waits"
        await apply_policy(self.host, _POLICY, "nobody needs info any more")
        self.copy = await hold(self.database, ANN, message=_OFFER, at=time.time(), sender=BOB)

    def filled(self, text: str, question: str) -> str:
        """Return a text of the document with what is meant."""
        name = self.refused if "refused" in question else self.copy[0] if "Release" in question else self.delivered
        return re.sub(r"\bPART\b", self.copy[1], re.sub(r"\bID\b", name, text))


@asynccontextmanager
async def gateway(
    rabbit: Rabbit, database: Database, folder: Path, redis: RedisServer, clamd: Clamd, *, row: Row
) -> AsyncIterator[tuple[Gateway, Elsewhere]]:
    """Open what one question needs: content for what asks it, the versions of the policy for what compares them."""
    made = Gateway(rabbit, database, folder, redis, clamd)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(made.close)
        await made.fill()
        await made.as_before(versions=7 if "changed" in row.question else 2)
        if "message meet" in row.question:
            await stack.enter_async_context(content_process(folder, rabbit, clamd, None))
        yield made, await stack.enter_async_context(serving(made.backstage, folder))


def words_of(command: str, folder: Path) -> list[str]:
    """Return a command's arguments, with the path of the file that the document names."""
    name, *arguments = shlex.split(command)
    assert name == "gatepost"
    return [str(folder / one) if one == "message.eml" else one for one in arguments]


def _refused(name: str, at: float) -> list[Event]:
    reason = {
        "check": "antivirus",
        "result": "infected",
        "action": "refuse",
        "evidence": "ClamAV found Eicar-Test-Signature",
        "rule": "checks.antivirus.infected",
        "change": "the message without it",
    }
    facts = {"client": "192.0.2.9", "listener": "mx", "subject": "a bill", "size_bytes": 100}
    verdicts = {"example.org": {"action": "refuse", "reasons": [reason]}}
    reply = f"550 5.7.1 Message refused: malware found [{name}]"
    return [
        event(name, Stage.EDGE, EventKind.RECEIVED, at, sender=BOB, recipients=[ANN], **facts),
        event(name, Stage.CONTENT, EventKind.JUDGED, at + 1, verdicts=verdicts, policy_version=1, took_ms=5.0),
        event(name, Stage.EDGE, EventKind.ANSWERED, at + 1, reply=reply, reason="verdict"),
    ]


def _waits(at: float) -> list[Event]:
    [came] = mail(at, "s@else.test", ANN, subject="waits")
    told = {"hop": HOP, "reason": "451 4.3.2 busy", "attempts": 2, "not_before": at + 900}
    return [came, event(came.id, Stage.DELIVERY, EventKind.RETRY, at + 1, **told)]


def _turned_away(at: float) -> Event:
    facts = {"client": ATTACKER, "listener": "submission", "reason": "login-failed", "reply": "535 5.7.8 no"}
    return event(id_at(at), Stage.EDGE, EventKind.COMMAND_REFUSED, at, **facts)
