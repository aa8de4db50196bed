"""`gatepost quarantine learn`: a real Rspamd with a real Redis, and a real spamd, learn what an administrator says."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select
from typer.testing import CliRunner

from services.console.actions import quarantine
from services.console.actions.desk import ActionError, Desk
from services.console.actions.learning import Class, learn
from services.console.cli.main import app
from services.console.database import Database
from services.console.held import held_mail
from services.console.identity.rights import on_this_host
from services.console.settings import ConsoleSettings
from services.console.store import Store
from services.console.tables import audit, events
from services.content.engines.rspamd import RspamdBackend
from services.content.engines.spamd import SpamdBackend
from services.content.spam import SpamReport
from shared.ids import new_id
from shared.wire import MAIL_TYPE, mail_headers
from tests.integration.console.mail import NOTE, envelope
from tests.integration.content.faulty_daemon import FaultyDaemon, hangs, says
from tests.integration.content.spam_samples import message, request
from tests.redis import RedisServer
from tests.rspamd import Rspamd
from tests.spamd import Spamd

_numbers = itertools.count()


def wordy(topic: str) -> bytes:
    """A message with enough words of its own to learn from, unlike any other."""
    number = next(_numbers)
    words = " ".join(f"{topic}{number}x{word} offer{word}" for word in range(40))
    return message(f"The {topic} of today.\r\n{words}").replace(b"0123456789.report", b"%d.report" % number)


@pytest.fixture(scope="module")
def learning_rspamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rspamd]:
    """An Rspamd that keeps what it learns in a Redis of its own, and uses it from the first message on."""
    folder = tmp_path_factory.mktemp("learning-rspamd")
    redis = RedisServer(folder)
    redis.start()
    engine = Rspamd(
        folder,
        redis=f"127.0.0.1:{redis.port}",
        rules={"local.d/classifier-bayes.conf": "min_learns = 1;\nmin_token_hits = 1;\n"},
    )
    try:
        engine.start()
        yield engine
    finally:
        engine.close()
        redis.kill()


def desk(database: Database, **antispam: str) -> Desk:
    settings = ConsoleSettings.model_validate(
        {
            "hostname": "gate.gatepost.test",
            "broker": {"user": "console", "password": "x"},
            "health": {"port": 9104},
            "database": {"url": "sqlite://"},
            "antispam": antispam or None,
        }
    )
    return Desk(settings, database, on_this_host("alice"))


def at_rspamd(database: Database, rspamd: Rspamd, password: str = "") -> Desk:
    address = f"127.0.0.1:{rspamd.controller_port}"
    return desk(database, engine="rspamd", address=address, password=password or rspamd.password)


async def hold(database: Database, data: bytes, *recipients: str, message_id: str = "") -> str:
    mail = replace(envelope(message_id or new_id(), *recipients), size_bytes=len(data))
    row = held_mail(data, mail_headers(mail, note=NOTE), MAIL_TYPE, mail.id, mail.received_at)
    async with database.writing() as connection:
        await Store(is_sqlite=database.is_sqlite).write_held(connection, [row])
    return mail.id


async def asked(rspamd: Rspamd, data: bytes) -> SpamReport:
    backend = RspamdBackend(1, "gate", 100_000)
    try:
        return await backend.ask(rspamd.address, request(data))
    finally:
        await backend.close()


async def test_rspamd_learns_ham_then_spam_and_its_score_says_so(sqlite: Database, learning_rspamd: Rspamd) -> None:
    ham, spam = wordy("minutes"), wordy("pills")
    at = at_rspamd(sqlite, learning_rspamd)
    await learn(at, await hold(sqlite, ham), Class.HAM)
    [copy] = await learn(at, await hold(sqlite, spam), Class.SPAM)
    assert copy.state == "held"
    of_spam, of_ham = await asked(learning_rspamd, spam), await asked(learning_rspamd, ham)
    assert "BAYES_SPAM" in {symbol.name for symbol in of_spam.symbols}
    assert "BAYES_SPAM" not in {symbol.name for symbol in of_ham.symbols}
    assert of_spam.score > of_ham.score + 2


async def test_what_was_learned_wrongly_can_be_learned_again_rightly(sqlite: Database, learning_rspamd: Rspamd) -> None:
    data = wordy("newsletter")
    at = at_rspamd(sqlite, learning_rspamd)
    held = await hold(sqlite, data)
    await learn(at, await hold(sqlite, wordy("agenda")), Class.HAM)
    await learn(at, held, Class.SPAM)
    before = await asked(learning_rspamd, data)
    await learn(at, held, Class.HAM)
    assert (await asked(learning_rspamd, data)).score < before.score - 2


async def test_the_trace_and_the_audit_know_who_taught_it_what(sqlite: Database, learning_rspamd: Rspamd) -> None:
    held = await hold(sqlite, wordy("invoice"))
    await learn(at_rspamd(sqlite, learning_rspamd), held, Class.SPAM)
    async with sqlite.reading() as connection:
        [noted] = (await connection.execute(select(audit))).all()
        [event] = (await connection.execute(select(events))).all()
    assert (noted.who, noted.action, noted.target) == ("alice", "quarantine learn", held)
    assert json.loads(noted.details)["learned_as"] == "spam"
    assert (event.id, event.kind, json.loads(event.facts)) == (held, "learned", {"as": "spam", "by": "alice"})


async def test_equal_copies_are_learned_once_and_a_released_one_can_be_learned(
    sqlite: Database, learning_rspamd: Rspamd
) -> None:
    data, message_id = wordy("report"), new_id()
    for recipient in ("a@gatepost.test", "b@gatepost.test"):
        await hold(sqlite, data, recipient, message_id=message_id)
    copies = await learn(at_rspamd(sqlite, learning_rspamd), message_id, Class.HAM)
    assert len(copies) == 2


async def test_what_cannot_be_learned_is_said_and_nothing_is_noted(sqlite: Database, learning_rspamd: Rspamd) -> None:
    at = at_rspamd(sqlite, learning_rspamd)
    data = wordy("twice")
    held = await hold(sqlite, data)
    await learn(at, held, Class.HAM)
    with pytest.raises(ActionError, match="has learned it as ham before"):
        await learn(at, held, Class.HAM)
    with pytest.raises(ActionError, match="too few words"):
        await learn(at, await hold(sqlite, b"Subject: hi\r\n\r\nhi\r\n"), Class.HAM)
    with pytest.raises(ActionError, match="does not take the password"):
        await learn(at_rspamd(sqlite, learning_rspamd, "wrong"), held, Class.SPAM)
    with pytest.raises(ActionError, match="cannot be reached"):
        await learn(desk(sqlite, engine="rspamd", address="127.0.0.1:1", password="x"), held, Class.SPAM)
    with pytest.raises(ActionError, match=r"\[antispam\]"):
        await learn(desk(sqlite), held, Class.SPAM)
    with pytest.raises(ActionError, match="no such mail"):
        await learn(at, new_id(), Class.SPAM)
    await quarantine.delete(at, held)
    with pytest.raises(ActionError, match="was deleted"):
        await learn(at, held, Class.SPAM)
    async with sqlite.reading() as connection:
        noted = (await connection.execute(select(audit.c.action))).scalars().all()
    assert noted == ["quarantine learn", "quarantine delete"]


async def test_a_rspamd_without_redis_does_not_pretend(sqlite: Database, rspamd: Rspamd) -> None:
    with pytest.raises(ActionError, match="name no Redis"):
        await learn(at_rspamd(sqlite, rspamd), await hold(sqlite, wordy("lost")), Class.SPAM)


async def test_spamd_learns_and_says_when_it_knows_already(sqlite: Database, spamd: Spamd) -> None:
    at = desk(sqlite, engine="spamd", address=spamd.address)
    data = wordy("lottery")
    held = await hold(sqlite, data)
    await learn(at, held, Class.SPAM)
    with pytest.raises(ActionError, match="learned nothing new"):
        await learn(at, held, Class.SPAM)
    await learn(at, held, Class.HAM)
    assert (await SpamdBackend(1, 100_000).ask(spamd.address, request(data))).engine == "SpamAssassin"
    with pytest.raises(ActionError, match="takes no connection"):
        await learn(desk(sqlite, engine="spamd", address="127.0.0.1:1"), held, Class.HAM)


@pytest.mark.parametrize(
    ("engine", "answer"),
    [
        ("rspamd", b"HTTP/1.1 1 cannot get learned\r\n\r\n"),
        ("rspamd", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
        ("rspamd", b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 300_000 + b'{"success":true}'),
        ("rspamd", b'HTTP/1.1 500 E\r\nContent-Length: 16\r\n\r\n{"error":"what"}'),
        ("rspamd", b""),
        ("spamd", b"SPAMD/1.1 69 TELL commands are not enabled\r\n\r\n"),
        ("spamd", b"garbage"),
    ],
)
async def test_an_engine_that_answers_wrongly_has_learned_nothing(sqlite: Database, engine: str, answer: bytes) -> None:
    held = await hold(sqlite, wordy("wrong"))
    async with FaultyDaemon(says(answer)) as daemon:
        with pytest.raises(ActionError):
            await learn(desk(sqlite, engine=engine, address=daemon.address, password="x"), held, Class.SPAM)


async def test_an_engine_that_hangs_is_waited_for_no_longer_than_the_deadline(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.actions.learning._DEADLINE_S", 0.2)
    held = await hold(sqlite, wordy("slow"))
    async with FaultyDaemon(hangs) as daemon:
        for engine in ("rspamd", "spamd"):
            with pytest.raises(ActionError, match="gave no answer in"):
                await learn(desk(sqlite, engine=engine, address=daemon.address), held, Class.SPAM)


def test_the_command_teaches_and_says_so(tmp_path: Path, learning_rspamd: Rspamd) -> None:
    async def prepare() -> str:
        database = Database(f"sqlite+aiosqlite:///{tmp_path}/gatepost.db")
        await database.migrate()
        try:
            return await hold(database, wordy("command"))
        finally:
            await database.close()

    held = asyncio.run(prepare())
    file = tmp_path / "console.toml"
    file.write_text(f"""
hostname = "gate.gatepost.test"
[broker]
user = "console"
password = "x"
[health]
port = 9104
[database]
url = "sqlite:///{tmp_path}/gatepost.db"
[antispam]
address = "127.0.0.1:{learning_rspamd.controller_port}"
password = "{learning_rspamd.password}"
""")
    file.chmod(0o600)
    before = structlog.get_config()
    try:
        run = [
            CliRunner().invoke(app, ["quarantine", *words], env={"GATEPOST_SETTINGS_FILE": str(file)})
            for words in (("learn", "spam", held), ("learn", "spam", held), ("learn", "eggs", held))
        ]
        trace = CliRunner().invoke(app, ["trace", held], env={"GATEPOST_SETTINGS_FILE": str(file)})
    finally:
        structlog.configure(**before)
    assert (run[0].exit_code, f"{held} (" in run[0].stdout, "is learned as spam" in run[0].stdout) == (0, True, True)
    assert (run[1].exit_code, "before" in run[1].stderr) == (1, True)
    assert run[2].exit_code == 2
    assert "taught the antispam engine that it is spam" in trace.stdout
