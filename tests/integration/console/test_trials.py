"""What would this message meet today: a real message, judged by a real content process, and delivered to nobody."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import func, select

from services.console.actions.desk import ActionError
from services.console.actions.policies import apply_policy
from services.console.actions.trials import try_held
from services.console.database import Database
from services.console.identity.rights import Role
from services.console.tables import events, messages
from services.console.trial import asking
from services.console.trial.asking import ask_content
from services.console.web.turns import IN_WINDOW
from shared.broker.connect import open_connection
from shared.broker.topology import QUEUES, Exchange, Queue
from shared.ids import new_id
from shared.wire_trial import TRIAL_LIMIT_BYTES, TRIAL_TYPE
from tests.clamd import EICAR, Clamd
from tests.integration.console.content_process import content_process, takers
from tests.integration.console.elsewhere import serving
from tests.integration.console.mail import envelope
from tests.integration.console.policy_scene import PolicyScene
from tests.integration.console.quarantined import hold, noted, state_of
from tests.rabbit import Rabbit
from tests.rspamd import GTUBE, Rspamd

# Nothing of the sender's is in DNS here.
POLICY = '[checks.dmarc]\nenabled = false\n[domains."gatepost.test"]\nroute = "maildir:mail"\nrecipients = ["demo"]\n'
CLEAN = b"From: Bob <bob@far.test>\nTo: demo@gatepost.test\nSubject: lunch\nDate: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <1@far.test>\n\nAt noon?\n"
INFECTED = CLEAN + EICAR + b"\n"
SPAM = CLEAN + GTUBE.encode() + b"\n"
SAYS = {"client": "192.0.2.9", "sender": "bob@far.test", "helo": "mail.far.test", "recipients": "demo@gatepost.test"}
API = "/api/v1/simulate/message"


@pytest.fixture
async def scene(rabbit: Rabbit, sqlite: Database, tmp_path: Path) -> AsyncIterator[PolicyScene]:
    made = PolicyScene(rabbit, sqlite, tmp_path)
    await apply_policy(made.host, POLICY, "first")
    yield made
    await made.close()


async def must_be_empty(rabbit: Rabbit, database: Database) -> None:
    """Nothing but the policy stands in any queue, and no message and no event in the database."""
    async with await open_connection(rabbit.settings("admin"), "test-empty") as connection:
        under = await (await connection.channel(publisher_confirms=False)).get_underlay_channel()
        lengths = {
            spec.name: (await under.queue_declare(spec.name, passive=True)).message_count
            for spec in QUEUES
            if spec.name != Queue.POLICY
        }
    assert {name: count for name, count in lengths.items() if count} == {}
    async with database.reading() as found:
        for table in (messages, events):
            assert await found.scalar(select(func.count()).select_from(table)) == 0


async def test_content_judges_what_is_handed_in_and_nothing_comes_of_it(
    scene: PolicyScene, rabbit: Rabbit, clamd: Clamd, rspamd: Rspamd, sqlite: Database, tmp_path: Path
) -> None:
    async with content_process(tmp_path, rabbit, clamd, rspamd), scene.site.api(Role.OPERATOR) as program:

        async def tried(message: bytes, **more: str) -> Any:
            answer = await program.post(API, params=SAYS | more, content=message)
            assert answer.status_code == 200, answer.text
            return answer.json()

        clean = (await tried(CLEAN))["judged"]
        assert clean["lets_through"], clean
        assert clean["policy_version"] == 1
        assert clean["reply"] == "250 2.0.0 queued as ID"
        assert {finding["check"] for finding in clean["findings"]} >= {"antivirus", "antispam", "structure"}

        infected = await tried(INFECTED)
        assert infected["ends_at"] is None, "edge would take it"
        assert not infected["judged"]["lets_through"]
        assert infected["judged"]["reply"] == "550 5.7.1 Message refused: malware found [ID]"
        assert infected["judged"]["verdicts"]["gatepost.test"]["action"] == "refuse"
        assert "antivirus" in infected["judged"]["in_short"][0]

        spam = (await tried(SPAM))["judged"]
        assert spam["verdicts"]["gatepost.test"]["reasons"][0]["check"] == "antispam"
        assert not spam["lets_through"]

        nobody = await tried(CLEAN, recipients="nobody@gatepost.test")
        assert nobody["ends_at"]["what"] == "recipient nobody@gatepost.test", "edge's answer is told beside content's"

        copy = await hold(sqlite, message=INFECTED.replace(b"\n", b"\r\n"))
        again = (await program.post(f"/api/v1/quarantine/{copy[0]}/judge", json={})).json()
        assert again["reply"].startswith("550 5.7.1 Message refused: malware found")
        assert (await state_of(sqlite, copy))[0] == "held"
        await _by_page(scene, copy)
    assert len(await noted(sqlite, "simulate message")) == 5
    [row] = [one for one in await noted(sqlite, "quarantine judge") if one["via"] == "token"]
    assert json.loads(str(row["details"]))["recipients"] == ["demo@gatepost.test"]
    await must_be_empty(rabbit, sqlite)


async def _by_page(scene: PolicyScene, copy: tuple[str, str]) -> None:
    async with scene.site.browser(Role.ADMINISTRATOR) as browser:
        form = (await browser.get("/policy/simulate")).text
        assert 'enctype="multipart/form-data"' in form
        page = await browser.post("/policy/simulate", data=SAYS, files={"message": ("a.eml", INFECTED)})
        assert page.status_code == 200, page.text
        assert "550 5.7.1 Message refused: malware found" in page.text
        assert "Eicar" in page.text
        path = f"/quarantine/{copy[0]}/{copy[1]}"
        assert f'action="{path}/judge"' in (await browser.get(path)).text
        judged = await browser.post(f"{path}/judge")
        assert judged.status_code == 200
        assert "550 5.7.1 Message refused: malware found" in judged.text
    async with scene.site.browser(Role.DOMAIN_MANAGER, ["elsewhere.test"]) as stranger:
        assert (await stranger.post(f"{path}/judge")).status_code == 403
        assert (await stranger.post("/policy/simulate", data=SAYS)).status_code == 403
    async with scene.site.browser(Role.VIEWER) as viewer:
        assert "multipart" not in (await viewer.get("/policy/simulate")).text
        assert (await viewer.post("/policy/simulate", data=SAYS)).status_code == 403
        assert (await viewer.post(f"{path}/judge")).status_code == 403


async def test_the_command_says_it_and_ends_with_one_for_what_would_be_held_back(
    scene: PolicyScene, rabbit: Rabbit, clamd: Clamd, sqlite: Database, tmp_path: Path
) -> None:
    files = {"clean": CLEAN, "infected": INFECTED}
    for name, message in files.items():
        (tmp_path / name).write_bytes(message)
    copy = await hold(sqlite, message=INFECTED.replace(b"\n", b"\r\n"))
    asked = ("simulate", "192.0.2.9", "demo@gatepost.test", "--from", "bob@far.test", "--message")
    async with content_process(tmp_path, rabbit, clamd, None), serving(scene.backstage, tmp_path) as command:
        await command.log_in(Role.OPERATOR)
        clean = await command(*asked, str(tmp_path / "clean"))
        assert clean.exit_code == 0, clean.output
        assert "The client would be told: 250 2.0.0" in clean.output
        infected = await command(*asked, str(tmp_path / "infected"))
        assert infected.exit_code == 1
        assert "malware found" in infected.output
        held = await command("quarantine", "judge", copy[0])
        assert held.exit_code == 1
        assert "malware found" in held.output
        assert (await command(*asked, str(tmp_path / "clean"), "--policy", "x")).exit_code == 2
        assert (await command(*asked, str(tmp_path / "none"))).exit_code == 1
    await must_be_empty(rabbit, sqlite)


async def test_without_a_content_process_it_says_at_once_what_is_missing(
    scene: PolicyScene, rabbit: Rabbit, sqlite: Database
) -> None:
    assert await takers(rabbit) == 0
    async with scene.site.api() as program:
        answer = await program.post(API, params=SAYS, content=CLEAN)
    assert answer.status_code == 503
    assert "no content process" in answer.json()["detail"]
    await must_be_empty(rabbit, sqlite)


async def test_a_broker_of_before_has_no_queue_for_it_and_mail_has_its_own(
    scene: PolicyScene, rabbit: Rabbit, sqlite: Database
) -> None:
    rabbit.delete(Queue.TRIAL.value)
    try:
        with pytest.raises(ActionError, match="gatepost topology apply"):
            await ask_content(rabbit.settings("console"), envelope(new_id()), CLEAN)
    finally:
        rabbit.install()
    await must_be_empty(rabbit, sqlite)


async def test_a_content_that_takes_a_trial_and_answers_nothing_or_a_strangers_answer_costs_no_mail(
    scene: PolicyScene, rabbit: Rabbit, sqlite: Database
) -> None:
    copy = await hold(sqlite)
    seen: list[AbstractIncomingMessage] = []

    async def answer_another(message: AbstractIncomingMessage) -> None:
        seen.append(message)
        key = str(message.headers["reply_key"])
        exchange = await channel.get_exchange(Exchange.TRIED.value, ensure=False)
        for body in (b"{", json.dumps({"id": new_id(), "reply": "250 of another trial"}).encode()):
            await exchange.publish(Message(body), key)
        await message.ack()

    connection = await open_connection(rabbit.settings("content"), "test-silent")
    async with connection:
        channel = await connection.channel()
        await (await channel.get_queue(Queue.TRIAL.value, ensure=False)).consume(answer_another)
        with pytest.raises(ActionError, match="content gave no verdict"):
            await ask_content(rabbit.settings("console"), envelope(new_id()), CLEAN, deadline_s=2)
    assert [message.type for message in seen] == [TRIAL_TYPE]
    assert (await state_of(sqlite, copy))[0] == "held"
    await must_be_empty(rabbit, sqlite)


async def test_a_trial_that_nobody_takes_is_dropped_and_only_a_few_wait(scene: PolicyScene, rabbit: Rabbit) -> None:
    """A process that holds one and does nothing: the others wait in the broker, and not for long."""
    connection = await open_connection(rabbit.settings("content"), "test-stuck")
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1)
        await (await channel.get_queue(Queue.TRIAL.value, ensure=False)).consume(_hold)
        questions = [
            ask_content(rabbit.settings("console"), envelope(new_id()), b"x" * 1000, deadline_s=8) for _ in range(8)
        ]
        answers = await asyncio.gather(*questions, return_exceptions=True)
    refused = [one for one in answers if "at once" in str(one)]
    assert len(refused) >= 2, answers
    assert all(isinstance(one, asking.NotTried) for one in answers)
    assert await _waiting(rabbit) <= 1, "only the one that the process held comes back, until its time is over"


async def _waiting(rabbit: Rabbit) -> int:
    async with await open_connection(rabbit.settings("admin"), "test-waiting") as connection:
        under = await (await connection.channel(publisher_confirms=False)).get_underlay_channel()
        return (await under.queue_declare(Queue.TRIAL.value, passive=True)).message_count or 0


async def test_what_is_too_large_is_refused_as_it_comes_and_who_asks_too_often_waits(
    scene: PolicyScene, rabbit: Rabbit, sqlite: Database
) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 100_000
            yield b"x" * 100_000

    async with scene.site.api() as program:
        assert (await program.post(API, params=SAYS, content=endless())).status_code == 413
        assert taken < TRIAL_LIMIT_BYTES + 1_000_000
        assert (await program.post(API, params=SAYS, content=b" \r\n")).status_code == 422
        assert (await program.post(API, params=SAYS | {"client": "x"}, content=CLEAN)).status_code == 422
        answers = [await program.post(API, params=SAYS | {"client": "x"}, content=CLEAN) for _ in range(IN_WINDOW)]
        assert answers[-1].status_code == 429
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    async with scene.site.browser() as browser:
        large = b"x" * (TRIAL_LIMIT_BYTES + 1)
        page = await browser.post("/policy/simulate", data=SAYS, files={"message": ("a.eml", large)})
        assert page.status_code == 413
        assert (await browser.post("/policy/simulate", data=SAYS, files={"message": ("a.eml", b"")})).status_code == 422
        found = await browser.post("/policy/simulate", data=SAYS)
        assert found.status_code == 200, "without a file it tells what edge would do"
        assert "Nothing that is known beforehand would refuse it." in found.text
    assert await noted(sqlite, "simulate message") == []
    large_copy = await hold(sqlite, message=b"x" * (TRIAL_LIMIT_BYTES + 1))
    with pytest.raises(ActionError, match="not tried"):
        await try_held(scene.host, large_copy[0])
    await must_be_empty(rabbit, sqlite)


async def _hold(_message: AbstractIncomingMessage) -> None:
    return None
