"""What every command does on the console's own host it does from another one, by the rights of a token."""

import asyncio
import logging
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import Result
from sqlalchemy import update

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.identity.tables import tokens
from services.console.settings import ConsoleSettings
from services.console.web.backstage import Backstage
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.ids import new_id
from tests.integration.console.command import Gatepost
from tests.integration.console.elsewhere import Elsewhere, serving
from tests.integration.console.mail import delivered_story, envelope
from tests.integration.console.test_command_queue import ONE, waits
from tests.integration.console.web_settings import SECRET

DOCUMENT = """
[listeners.mx]
purpose = "inbound"

[domains."gatepost.test"]
route = "smtp://127.0.0.1:2600"
recipients = ["demo"]
"""
KNOWN, HELD, WAITS = new_id(), new_id(), new_id()
SHOWING = [
    ("find", "demo@gatepost.test"),
    ("trace", KNOWN),
    ("trace", KNOWN, "--json"),
    ("trace", new_id()),
    ("tail", "--last", "1", "--count", "1", "--kind", "delivered"),
    ("drain",),
    ("simulate", "192.0.2.7", "demo@gatepost.test"),
    ("simulate", "192.0.2.7", "nobody@gatepost.test", "--json"),
    ("queue", "list"),
    ("queue", "show", "all"),
    ("queue", "show", "all", "--json"),
    ("queue", "hops", "--json"),
    ("quarantine", "list"),
    ("quarantine", "list", "--json"),
    ("quarantine", "show", HELD),
    ("quarantine", "show", HELD, "--raw"),
    ("policy", "show"),
    ("policy", "show", "--version", "9"),
    ("policy", "history"),
    ("policy", "history", "--json"),
    ("policy", "diff", "1"),
    ("domain", "list"),
    ("domain", "list", "--json"),
    ("domain", "show", "gatepost.test"),
    ("domain", "show", "gatepost.test", "--json"),
    ("dkim", "list"),
    ("dkim", "list", "--json"),
    ("dkim", "show", "gatepost.test"),
    ("account", "list"),
    ("account", "braked"),
    ("account", "log-ins", "--address", "192.0.2.7"),
    ("account", "log-ins", "--login", "ann@gatepost.test", "--json"),
    ("ban", "list"),
    ("user", "list"),
    ("user", "show", "anna"),
    ("user", "show", "nobody"),
    ("audit", "--json"),
]
CHANGING = [
    ("user", "add", "ben", "--role", "viewer"),
    ("user", "change", "anna", "--role", "operator"),
    ("user", "disable", "anna"),
    ("user", "remove", "anna"),
    ("user", "reset", "anna"),
    ("user", "logout", "anna"),
    ("account", "add", "x@gatepost.test", "--elsewhere"),
    ("account", "remove", "x@gatepost.test"),
    ("account", "unbrake", "x@gatepost.test"),
    ("ban", "add", "192.0.2.9"),
    ("ban", "remove", "192.0.2.9"),
    ("queue", "retry", "all"),
    ("queue", "suspend", "all", "--reason", "x"),
    ("queue", "bounce", "all", "--reason", "x", "--yes"),
    ("quarantine", "release", HELD),
    ("quarantine", "allow", HELD, "--part", "1", "--reason", "x"),
    ("quarantine", "delete", HELD, "--yes"),
    ("quarantine", "learn", "spam", HELD),
    ("quarantine", "show", HELD, "--raw"),
    ("policy", "rollback", "1", "--reason", "x"),
    ("policy", "confirm", "1"),
    ("policy", "take-back", "1"),
    ("domain", "add", "b.test", "--route", "mx", "--recipients", "any", "--reason", "x"),
    ("domain", "set", "gatepost.test", "subaddress=+", "--reason", "x"),
    ("domain", "remove", "gatepost.test", "--reason", "x"),
    ("dkim", "add", "gatepost.test"),
    ("dkim", "switch", "gatepost.test"),
    ("dkim", "retire", "gatepost.test"),
    ("dkim", "prune"),
    ("audit",),
    ("user", "list"),
]


def fill(gatepost: Gatepost) -> None:
    """Write what the commands show."""
    now = time.time()
    gatepost.write([*delivered_story(KNOWN, now - 50), *waits(WAITS, "x@a.test", ONE, "451 later", now - 40)])
    gatepost.hold(envelope(HELD, "demo@gatepost.test"))
    document = gatepost.folder / "new.toml"
    document.write_text(DOCUMENT)
    for arguments in (
        ("policy", "apply", str(document), "--reason", "a test"),
        ("dkim", "add", "gatepost.test"),
        ("account", "add", "demo@gatepost.test", "--elsewhere"),
    ):
        done = gatepost(*arguments)
        assert done.exit_code == 0, done.output


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The console's log stands elsewhere, too: here it would be among what the command says."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture
async def elsewhere(gatepost: Gatepost, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    await asyncio.to_thread(fill, gatepost)
    web = {
        "port": 0,
        "certificate_file": tmp_path / "web.pem",
        "key_file": tmp_path / "web.key",
        "public_url": "https://gate.gatepost.test",
        "secret": SECRET,
    }
    settings = ConsoleSettings.model_validate(tomllib.loads(gatepost.file.read_text()) | {"web": web})
    database, link = Database(gatepost.url), Link(gatepost.rabbit.settings("console"), "test-console")
    publisher = Publisher(link)
    link.start()
    try:
        async with serving(Backstage(settings, database, publisher), tmp_path) as made:
            yield made
    finally:
        await link.close()
        await database.close()


def said(done: Result) -> tuple[int, str, str]:
    return done.exit_code, done.stdout, done.stderr


async def test_an_administrator_elsewhere_reads_what_is_shown_here(gatepost: Gatepost, elsewhere: Elsewhere) -> None:
    await elsewhere.log_in(Role.ADMINISTRATOR)
    for arguments in SHOWING:
        here, there = await asyncio.to_thread(gatepost, *arguments), await elsewhere(*arguments)
        assert said(there) == said(here), arguments
        assert here.exception is None or isinstance(here.exception, SystemExit), arguments


@pytest.mark.usefixtures("nobody_on_the_routes")
async def test_the_state_of_the_gateway_is_seen_from_elsewhere(elsewhere: Elsewhere) -> None:
    await elsewhere.log_in(Role.VIEWER)
    status = await elsewhere("status")
    assert (status.exit_code, "critical: edge is not ready" in status.stdout) == (1, True), status.output
    doctor = await elsewhere("doctor")
    assert (doctor.exit_code, "looked at are wrong" in doctor.stdout) == (1, True), doctor.output
    checked = await elsewhere("domain", "check")
    assert "gatepost.test" in checked.stdout


async def test_an_administrator_elsewhere_changes_things(gatepost: Gatepost, elsewhere: Elsewhere) -> None:
    await elsewhere.log_in(Role.ADMINISTRATOR)
    version = str((await asyncio.to_thread(gatepost.json, "policy", "history"))[0]["version"])
    for arguments, word in [
        (("user", "add", "ben", "--role", "viewer"), "/invited/"),
        (("user", "change", "ben", "--role", "operator"), "ben is operator of all"),
        (("token", "list"), "anna"),
        (("account", "add", "x@gatepost.test", "--elsewhere"), "may send as"),
        (("account", "remove", "x@gatepost.test"), "is removed"),
        (("domain", "set", "gatepost.test", "subaddress=+", "--reason", "why"), "is in force"),
        (("policy", "rollback", version, "--reason", "why"), "is in force"),
        (("dkim", "retire", "gatepost.test", "--pending"), "forgotten"),
        (("queue", "suspend", "a.test", "--reason", "why"), "is held back"),
        (("queue", "resume", "a.test"), "not held back"),
        (("quarantine", "delete", HELD, "--yes"), "is deleted"),
    ]:
        done = await elsewhere(*arguments)
        assert (done.exit_code, word in done.stdout) == (0, True), (arguments, done.output)
    rows = await asyncio.to_thread(gatepost.json, "audit")
    assert {(row["who"], row["via"]) for row in rows if row["action"] == "quarantine delete"} == {
        ("anna (tests)", "token")
    }


async def test_a_viewer_elsewhere_changes_nothing_and_reads_no_mail(elsewhere: Elsewhere) -> None:
    await elsewhere.log_in(Role.VIEWER)
    for arguments in CHANGING:
        done = await elsewhere(*arguments)
        assert done.exit_code == 1, (arguments, done.output)
        assert done.stderr.startswith("gatepost: the role viewer may not "), (arguments, done.stderr)
        assert done.stdout == "", arguments


async def test_a_domain_manager_elsewhere_sees_only_the_domains_of_the_token(elsewhere: Elsewhere) -> None:
    await elsewhere.log_in(Role.DOMAIN_MANAGER, ["b.test"])
    refused = await elsewhere("trace", KNOWN)
    assert (refused.exit_code, "is not of your domains" in refused.stderr) == (1, True)
    assert (await elsewhere("domain", "list")).stdout == "No domain is ours yet: gatepost domain add\n"
    assert (await elsewhere("quarantine", "list")).stdout == "Nothing is in quarantine.\n"
    assert (await elsewhere("status")).exit_code == 1


async def test_an_expired_token_is_refused_and_it_is_said_that_one_is_needed(elsewhere: Elsewhere) -> None:
    await elsewhere.log_in(Role.ADMINISTRATOR)
    async with elsewhere.site.backstage.database.writing() as connection:
        await connection.execute(update(tokens).values(ends_at=time.time() - 1))
    done = await elsewhere("user", "list")
    assert (done.exit_code, done.stdout, "a token is needed" in done.stderr) == (1, "", True)


async def test_a_console_that_is_away_is_named(elsewhere: Elsewhere) -> None:
    elsewhere.tokens.append("gp_a_secret")
    elsewhere.file.parent.mkdir()
    elsewhere.file.write_text('url = "https://127.0.0.1:1"\ntoken = "gp_a_secret"\n')
    elsewhere.file.chmod(0o600)
    for arguments in (("status",), ("tail",), ("user", "list"), ("doctor",)):
        done = await elsewhere(*arguments)
        assert (done.exit_code, done.stdout) == (1, ""), arguments
        assert "https://127.0.0.1:1 does not answer" in done.stderr


async def test_of_several_mails_one_that_is_not_there_does_not_hold_up_the_others(elsewhere: Elsewhere) -> None:
    await elsewhere.log_in(Role.OPERATOR)
    unknown = new_id()
    done = await elsewhere("quarantine", "delete", unknown, HELD, "--yes")
    assert done.exit_code == 1
    assert f"{HELD} (" in done.stdout
    assert done.stderr.startswith(f"gatepost: {unknown}: ")
