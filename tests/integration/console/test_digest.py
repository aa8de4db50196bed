"""Reports of quarantine to users: from a held mail to the link that releases a recipient's own copy."""

import email
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import httpx
import pytest

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.digest.daily import QuarantineDigests
from services.console.digest.token import VALID_S, Ask, Ticket, token_of
from services.console.identity.rights import Role, on_this_host
from services.console.web.backstage import Backstage
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import Queue
from shared.envelope import Proof
from shared.policy import Policy, parse_policy
from shared.verdict import Action, CheckName, Reason, Verdict
from shared.wire import QuarantineNote, read_envelope
from tests.integration.console.people import Clock
from tests.integration.console.quarantined import SPAM, hold, noted, state_of
from tests.integration.console.site import Site
from tests.integration.console.test_dmarc_reports import taken
from tests.integration.console.test_recorder import waiting
from tests.integration.console.web_settings import SECRET, settings_for
from tests.rabbit import Rabbit

DAY = 21_000 * 86_400.0
SEVEN = DAY + 7 * 3600
POLICY = parse_policy(
    """
[quarantine_digest]
enabled = true
hour = 6
shown = ["antispam", "antivirus"]
[domains."gatepost.test"]
route = "mx"
recipients = ["demo", "anna"]
[domains."silent.test"]
route = "mx"
recipients = "any"
quarantine_digest.enabled = false
"""
)
OFF = parse_policy('[domains."gatepost.test"]\nroute = "mx"\nrecipients = ["demo"]\n')
VIRUS = Verdict(Action.REFUSE, (Reason(CheckName.ANTIVIRUS, "infected", Action.REFUSE, "Eicar", "checks.antivirus.i"),))


@dataclass(frozen=True, slots=True)
class Fixed:
    """A policy that is in force."""

    policy: Policy


@dataclass(slots=True)
class World:
    """A console with a clock, a broker and a policy."""

    database: Database
    backstage: Backstage
    clock: Clock

    def digests(self) -> QuarantineDigests:
        desk = self.backstage.desk(on_this_host("recorder"))
        return QuarantineDigests(desk, lambda: POLICY, self.clock)

    @asynccontextmanager
    async def reader(self, policy: Policy = POLICY) -> AsyncIterator[httpx.AsyncClient]:
        """Give a browser of nobody."""
        there = self.backstage
        made = Backstage(there.settings, there.database, there.publisher, Fixed(policy), clock=self.clock)
        async with Site(made).stranger() as client:
            yield client

    def link(self, copy: tuple[str, str], recipient: str = "demo@gatepost.test", ask: Ask = Ask.RELEASE) -> str:
        return "/digest/" + token_of(Ticket(*copy, recipient, int(self.clock()) + VALID_S, ask), SECRET)


@asynccontextmanager
async def world_of(database: Database, rabbit: Rabbit, folder: Path) -> AsyncIterator[World]:
    clock = Clock()
    clock.now = SEVEN
    broker = rabbit.settings("console")
    link = Link(broker, "test-digest")
    link.start()
    yield World(database, Backstage(settings_for(database, folder, broker), database, Publisher(link)), clock)
    await link.close()


@pytest.fixture
async def world(sqlite: Database, rabbit: Rabbit, tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(sqlite, rabbit, tmp_path) as made:
        yield made


def texts(message: Message) -> dict[str, str]:
    found = {}
    for part in message.walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            found[part.get_content_type()] = content.decode()
    return found


def paths(text: str) -> list[str]:
    return re.findall(r"https://console\.test(/digest/[\w.-]+)", text)


async def test_a_user_is_told_once_and_the_link_releases_the_mail(
    database: Database, rabbit: Rabbit, tmp_path: Path
) -> None:
    async with world_of(database, rabbit, tmp_path) as world:
        copy = await hold(database, at=DAY)
        await hold(database, "demo@silent.test", at=DAY)
        await hold(database, "nobody@gatepost.test", at=DAY)
        await hold(database, at=SEVEN - 60)
        assert await world.digests().send_due(POLICY) == 1
        # Another recorder, and the next round.
        assert await world.digests().send_due(POLICY) == 0
        kind, headers, body = await taken(rabbit)
        sent = read_envelope(kind, headers)
        assert [one.address for one in sent.recipients] == ["demo@gatepost.test"]
        assert (sent.sender, sent.proved) == ("quarantine@mx.gate.example", Proof.GATEWAY)
        message = email.message_from_bytes(body)
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Subject"] == "1 held message for demo@gatepost.test"
        plain, html = texts(message)["text/plain"], texts(message)["text/html"]
        assert "Grüße" in plain
        [path] = paths(plain)
        assert paths(html) == [path]
        async with world.reader() as reader:
            page = await reader.get(path)
            assert (page.status_code, "Release it to me" in page.text) == (200, True)
            assert (await state_of(database, copy))[0] == "held", "looking changes nothing"
            done = await reader.post(path)
            assert (done.status_code, "It is released" in done.text) == (200, True)
            for again in (await reader.get(path), await reader.post(path)):
                assert again.status_code == 404
        kind, headers, _ = await taken(rabbit)
        assert read_envelope(kind, headers).id == copy[0]
        assert (await state_of(database, copy))[0] == "released"
        [row] = await noted(database, "quarantine release")
        assert (row["who"], row["via"], row["address"]) == ("demo@gatepost.test", "digest", "192.0.2.7")


async def test_the_next_day_tells_only_of_what_is_new(world: World, rabbit: Rabbit) -> None:
    await hold(world.database, at=DAY)
    digests = world.digests()
    assert await digests.send_due(POLICY) == 1
    await taken(rabbit)
    world.clock.now += 86_400
    assert await digests.send_due(POLICY) == 0
    world.clock.now += 86_400
    new = await hold(world.database, at=world.clock.now - 7200)
    assert await digests.send_due(POLICY) == 1
    _, _, body = await taken(rabbit)
    [path] = paths(texts(email.message_from_bytes(body))["text/plain"])
    async with world.reader() as reader:
        await reader.post(path)
    assert (await state_of(world.database, new))[0] == "released"


async def test_while_the_broker_is_away_nothing_counts_as_sent(sqlite: Database, tmp_path: Path) -> None:
    await hold(sqlite, at=DAY)
    desk = Desk(settings_for(sqlite, tmp_path), sqlite, on_this_host("recorder"))
    digests = QuarantineDigests(desk, lambda: POLICY, lambda: SEVEN)
    assert await digests.send_due(POLICY) == 0
    await desk.close()
    async with sqlite.reading() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM digests")).scalar() == 0


async def test_of_a_copy_for_several_only_the_recipient_s_own_goes(world: World, rabbit: Rabbit) -> None:
    copy = await hold(world.database, "demo@gatepost.test", "anna@gatepost.test", "x@silent.test", at=DAY)
    async with world.reader() as reader:
        page = (await reader.get(world.link(copy))).text
        assert "anna@" not in page
        assert "silent.test" not in page
        assert (await reader.post(world.link(copy))).status_code == 200
        assert await state_of(world.database, copy) == ("held", "anna@gatepost.test, x@silent.test")
        assert (await reader.post(world.link(copy))).status_code == 404
        assert (await reader.post(world.link(copy, "anna@gatepost.test"))).status_code == 200
        assert await state_of(world.database, copy) == ("held", "x@silent.test")
        assert (await reader.post(world.link(copy, "x@silent.test"))).status_code == 409
    assert await waiting(rabbit, Queue.DELIVERY) == 2


@pytest.mark.parametrize(
    ("verdict", "note"),
    [
        (VIRUS, QuarantineNote("refuse", "Eicar", "antivirus")),
        (Verdict(Action.QUARANTINE, (*SPAM.reasons, *VIRUS.reasons)), QuarantineNote("quarantine", "x", "antispam")),
        (None, QuarantineNote("poison", "content died of it")),
    ],
)
async def test_malware_and_what_was_not_examined_is_never_released_by_its_recipient(
    world: World, rabbit: Rabbit, verdict: Verdict | None, note: QuarantineNote
) -> None:
    copy = await hold(world.database, at=DAY, verdict=verdict, note=note)
    async with world.reader() as reader:
        # Even a link that says otherwise asks, no more.
        assert "Ask an administrator" in (await reader.get(world.link(copy))).text
        for _ in range(2):
            assert "You have asked for it" in (await reader.post(world.link(copy))).text
    assert (await state_of(world.database, copy))[0] == "held"
    assert await waiting(rabbit, Queue.DELIVERY) == 0
    assert len(await noted(world.database, "quarantine ask")) == 1
    async with Site(world.backstage).browser(Role.OPERATOR) as browser:
        page = (await browser.get(f"/quarantine/{copy[0]}/{copy[1]}")).text
        assert "Asked for by demo@gatepost.test" in page


async def test_a_link_shows_nobody_else_s_mail_and_ends(world: World) -> None:
    copy = await hold(world.database, "anna@gatepost.test", at=DAY)
    async with world.reader() as reader:
        for path in (world.link(copy, "demo@gatepost.test"), "/digest/rubbish", "/digest/a.b", "/digest/é"):
            for answer in (await reader.get(path), await reader.post(path)):
                assert (answer.status_code, "Grüße" in answer.text) == (404, False), path
        link = world.link(copy, "anna@gatepost.test")
        world.clock.now += VALID_S
        assert (await reader.post(link)).status_code == 404
    async with world.reader(OFF) as reader:
        assert (await reader.get(world.link(copy, "anna@gatepost.test"))).status_code == 409


async def test_links_are_throttled_and_other_sites_cannot_press_them(world: World) -> None:
    copy = await hold(world.database, at=DAY)
    async with world.reader() as reader:
        link = world.link(copy)
        assert (await reader.post(link, headers={"Origin": "https://evil.example"})).status_code == 403
        assert (await reader.post(link, headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
        statuses = [(await reader.post("/digest/rubbish")).status_code for _ in range(40)]
        assert statuses[0] == 404
        assert statuses[-1] == 429
        world.clock.now += 61
        assert (await reader.post("/digest/rubbish")).status_code == 404


async def test_what_strangers_wrote_is_text_in_the_report(world: World, rabbit: Rabbit) -> None:
    subject = (
        b"Subject: <a href=//evil.example>click</a> http://evil.example/\r\n =?utf-8?q?=0ANew:_line?=\r\n\r\nx\r\n"
    )
    await hold(world.database, at=DAY, message=subject)
    assert await world.digests().send_due(POLICY) == 1
    _, _, body = await taken(rabbit)
    found = texts(email.message_from_bytes(body))
    assert "<a href=//evil" not in found["text/html"]
    assert "http://evil" not in found["text/html"]
    assert "\nNew: line" not in found["text/plain"]
