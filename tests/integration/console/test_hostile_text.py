"""What strangers wrote is text, on every page and in the report by mail, for a real browser."""

import email
import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from selenium import webdriver
from sqlalchemy import Table, insert

from infra.local.ports import free_ports
from services.console.database import Database
from services.console.digest.mail import Digest, Entry, digest_mail
from services.console.digest.token import Ask
from services.console.identity.rights import Role
from services.console.identity.sessions import Step, open_session
from services.console.identity.tables import passkeys, tokens
from services.console.reports.reporter import Reporter
from services.console.tables import accounts, audit, hops
from services.console.web.app import create_app
from services.console.web.serve import WebServer
from services.console.web.who import COOKIE
from shared.event import Event, EventKind, Stage
from shared.ids import new_id
from shared.policy_entry import PolicyEntry
from shared.wire import QuarantineNote
from tests.integration.console.hostile_text import STORED, word_of
from tests.integration.console.in_thread import Loop, loop_in_thread
from tests.integration.console.mail import event
from tests.integration.console.policy_scene import FIRST, PolicyScene
from tests.integration.console.quarantined import hold
from tests.integration.console.site import Site
from tests.integration.console.test_access_matrix import ROUTES
from tests.integration.console.test_web_browser_login import chromium
from tests.integration.console.told import id_at, write
from tests.rabbit import Rabbit

pytestmark = pytest.mark.slow
# A file is no page.
_FILES = ("/raw", "/export.csv", "/export.jsonl", "/policy/compare")


def story(text: str, number: int, now: float) -> list[Event]:
    """Return a story in which every stranger says the same."""
    name, hop = id_at(now, number), f"smtp://{text[:200]}:25"
    finding = {"check": "antispam", "result": text, "evidence": text, "input": text, "took_ms": 1.0}
    reason = {"check": "antivirus", "result": text, "action": "accept", "evidence": text, "rule": text, "change": text}
    outcome = {"recipient": text, "status": "deferred", "reply": f"451 {text}"}
    who = {"client": text, "listener": text, "helo": text, "login": text, "sender": text, "tls": text}
    return [
        event(name, Stage.EDGE, EventKind.COMMAND_REFUSED, now, **who, command=text, recipient=text,
              reply=f"550 {text}", reason=text),
        event(name, Stage.EDGE, EventKind.RECEIVED, now, **who, recipients=[text], size_bytes=1, subject=text,
              message_id=text),
        event(name, Stage.CONTENT, EventKind.CHECKED, now + 0.1, findings=[finding]),
        event(name, Stage.CONTENT, EventKind.JUDGED, now + 0.2,
              verdicts={text: {"action": "accept", "reasons": [reason]}}, policy_version=1, took_ms=1.0),
        event(name, Stage.EDGE, EventKind.ANSWERED, now + 0.3, reply=f"250 {text}", waited_s=0.1, verdict=text),
        event(name, Stage.CONTENT, EventKind.QUEUED, now + 0.4, to="delivery", recipients=[text]),
        event(name, Stage.DELIVERY, EventKind.ATTEMPT, now + 0.5, hop=hop, peer=text, tls=text, security=text,
              outcomes=[outcome], took_ms=1.0, dkim={"domain": text, "by": [{"selector": text, "algorithm": text}]}),
        event(name, Stage.DELIVERY, EventKind.RETRY, now + 0.6, attempts=1, not_before=now + 900, reason=text, hop=hop,
              failure=text),
    ]  # fmt: skip


def message(text: str) -> bytes:
    """Return a mail whose author writes the same everywhere."""
    raw = text.encode("utf-8", "replace")
    word = b"=?utf-8?b?" + b64encode(raw[:300]) + b"?="
    line = raw.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")
    name = quote(text[:200], safe="").encode()
    head = b"Content-Disposition: attachment; filename*=utf-8''" + name + b'; filename="' + word + b'"\r\n'
    return b"\r\n".join((
        b"From: " + word + b" <m@example.org>", b"To: " + line, b"Subject: " + word, b"X-Raw: " + line,
        word[:60] + b": " + line, b"Message-ID: <" + line + b">", b"MIME-Version: 1.0",
        b'Content-Type: multipart/mixed; boundary="b"', b"", b"--b", b"Content-Type: text/plain; charset=utf-8", b"",
        raw, b"http://evil.test/" + line, b"--b", b"Content-Type: text/html; charset=utf-8", b"",
        b"<html><body>" + raw + b"<a href='" + line + b"'>" + raw + b"</a></body></html>",
        b"--b", b'Content-Type: application/octet-stream; name="' + word + b'"\r\n' + head, b"aaaa", b"--b--", b"",
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A console full of it. held: by text."""

    url: str
    cookie: str
    stories: dict[str, str]
    held: dict[str, str]

    def paths(self) -> Iterator[str]:
        """Yield every page, with what strangers can make somebody ask for."""
        text = STORED[0]
        story_of, (held_of, *_) = next(iter(self.stories.values())), self.held.values()
        known = {"message_id}/{part": held_of, "message_id": story_of, "domain": "gatepost.test", "name": "root",
                 "version:int": "1"}  # fmt: skip
        for route in ROUTES:
            if route.method != "GET" or route.is_api or route.path.endswith(_FILES):
                continue
            path = route.path
            for name, value in known.items():
                path = path.replace(f"{{{name}}}", value)
            yield re.sub(r"\{[^}]+\}", quote(text, safe=""), path)
        for asked in STORED[:60:4]:
            asking = dict.fromkeys(("q", "address", "domain", "note", "next", "hop", "login", "who"), asked[:60])
            for path in ("/messages", "/events", "/audit", "/queues", "/queues/destination", "/accounts/log-ins",
                         "/quarantine", "/accounts", "/accounts/show", "/login", "/policy"):  # fmt: skip
                yield f"{path}?{urlencode(asking)}" if asked is STORED[0] or path == "/messages" else path
        yield from (f"/messages/{name}" for name in self.stories.values())
        yield from (f"/quarantine/{name}" for name in self.held.values())


async def fill(scene: PolicyScene, now: float) -> tuple[dict[str, str], dict[str, str]]:
    database = scene.backstage.database
    stories = [story(text, number, now) for number, text in enumerate(STORED)]
    await write(database, *stories)
    held = {}
    for number, text in enumerate(STORED):
        note = QuarantineNote("quarantine", text, "antispam")
        copy = await hold(database, "demo@gatepost.test", text[:200], message=message(text), note=note, at=now + number,
                          sender=text, results=text)  # fmt: skip
        held[text] = "/".join(copy)
    last = now + 3600
    rows: dict[Table, list[dict[str, Any]]] = {
        audit: [
            {"uid": new_id(), "at": now, "who": text, "action": "log-in refused", "target": text,
             "details": json.dumps({"name": text, "agent": text}), "address": "192.0.2.7", "via": "browser"}
            for text in STORED
        ],
        tokens: [
            {"digest": new_id(), "id": new_id(), "user_name": "root", "label": text, "role": "viewer", "domains": None,
             "made_at": now, "ends_at": last, "used_at": now, "used_from": text[:64]}
            for text in STORED
        ],
        passkeys: [
            {"id": new_id(), "user_name": "root", "label": text, "public_key": b"", "sign_count": 0, "made_at": now}
            for text in STORED
        ],
        accounts: [
            {"login": text[:300], "argon2": "", "senders": json.dumps([text]), "disabled": False, "created_at": now}
            for text in STORED
        ],
        hops: [
            {"hop": f"smtp://{text[:200]}:25", "host": text[:200], "state": "waiting", "cause": text, "until": last,
             "at": now}
            for text in STORED
        ],
    }  # fmt: skip
    async with database.writing() as connection:
        for table, values in rows.items():
            await connection.execute(insert(table), values)
    for text in STORED:
        await open_session(database, "root", Step.WHOLE, address="192.0.2.7", agent=text, now=now)
    written = "".join(f"# {line}\n" for text in STORED for line in ["".join(c for c in text if c.isprintable())])
    for version, text in enumerate(STORED[:60:6], 1):
        await scene.publish(PolicyEntry(version, text, text, now, FIRST + written))
    return {text: one[0].id for text, one in zip(STORED, stories, strict=True)}, held


@pytest.fixture(scope="module")
def shown(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("hostile")
    with loop_in_thread() as loop, ExitStack() as stack:
        yield loop.do(serve(rabbit, folder, stack, loop))


async def serve(rabbit: Rabbit, folder: Path, stack: ExitStack, loop: Loop) -> Shown:
    database = Database(f"sqlite+aiosqlite:///{folder}/gatepost.db")
    stack.callback(lambda: loop.do(database.close()))
    await database.migrate()
    scene = PolicyScene(rabbit, database, folder)
    stack.callback(lambda: loop.do(scene.close()))
    port, now = free_ports(1)[0], time.time()
    settings = scene.backstage.settings
    assert settings.web is not None
    web = settings.web.model_copy(update={"public_url": f"https://localhost:{port}", "port": port})
    backstage = replace(scene.backstage, settings=settings.model_copy(update={"web": web}))
    await Site(backstage).user("root", Role.ADMINISTRATOR)
    stories, held = await fill(scene, now)
    cookie = await open_session(database, "root", Step.WHOLE, address="127.0.0.1", agent="tests", now=now)
    server = WebServer(web, "localhost", create_app(backstage))
    await server.start()
    stack.callback(lambda: loop.do(server.close()))
    return Shown(f"https://localhost:{port}", cookie, stories, held)


@pytest.fixture(scope="module")
def browser(shown: Shown) -> Iterator[webdriver.Chrome]:
    with chromium() as started:
        started.get(f"{shown.url}/login")
        started.add_cookie({"name": COOKIE, "value": shown.cookie, "path": "/", "secure": True})
        yield started


_LOOK = """
const evil = [...document.querySelectorAll('*')].filter(one => one.hasAttribute('data-pwn')
  || [...one.attributes].some(a => /^on/.test(a.name) || /^hx-on/.test(a.name)
    || (/^(href|src|action|formaction|hx-.*)$/.test(a.name) && /^\\s*(javascript|data|vbscript):|evil\\.test\\//i.test(a.value)
        && !/^\\/[^\\/]/.test(a.value))));
return {ran: 'pwned' in window, evil: evil.map(one => one.outerHTML.slice(0, 200)),
        said: document.documentElement.textContent, at: location.href,
        asked: performance.getEntriesByType('resource').map(one => one.name)};
"""


def look(browser: webdriver.Chrome, origin: str) -> tuple[str, list[str]]:
    """Return the text of the page that is open, and what is wrong with it."""
    seen = browser.execute_script(_LOOK)
    elsewhere = [url for url in [seen["at"], *seen["asked"]] if not url.startswith(origin)]
    wrong = [f"fetched {url}" for url in elsewhere] + [f"made {one}" for one in seen["evil"]]
    wrong += ["a script ran"] if seen["ran"] else []
    wrong += ["a template ran"] if "49q" in seen["said"] else []
    wrong += [
        f"the console says {line['message']}"
        for line in browser.get_log("browser")  # type: ignore[no-untyped-call]
        if "Content Security Policy" in line["message"] or "evil.test" in line["message"].split(" - ")[-1]
    ]
    return str(seen["said"]), wrong


def test_on_no_page_does_what_strangers_wrote_become_more_than_text(browser: webdriver.Chrome, shown: Shown) -> None:
    wrong, said = {}, {}
    for path in dict.fromkeys(shown.paths()):
        browser.get(shown.url + path)
        said[path], found = look(browser, shown.url)
        if found:
            wrong[path] = found
    assert wrong == {}
    for text in STORED:
        assert word_of(text) in said[f"/messages/{shown.stories[text]}"]
        assert word_of(text) in said[f"/quarantine/{shown.held[text]}"]


def test_this_browser_would_run_it_if_it_were_not_text(browser: webdriver.Chrome, tmp_path: Path) -> None:
    page = tmp_path / "careless.html"
    page.write_text("<meta charset=utf-8><p>" + STORED[8] + "<p>" + STORED[9] + "<p>" + STORED[47], "utf-8")
    browser.get(page.as_uri())
    _, wrong = look(browser, "file://")
    assert "a script ran" in wrong
    assert "fetched https://evil.test/pixel.png" in wrong
    assert len([one for one in wrong if one.startswith("made <img")]) == 2


def test_the_report_of_quarantine_by_mail_shows_it_as_text(browser: webdriver.Chrome, tmp_path: Path) -> None:
    entries = [Entry(text, text, time.time(), text, Ask.ASK, "https://console.test/digest/x") for text in STORED]
    reporter = Reporter("gate.gatepost.test", "Gatepost", "q@gatepost.test", "", "", 0, 0)
    _, data = digest_mail(Digest("demo@gatepost.test", entries, 0, 7), reporter, new_id(), time.time())
    (part,) = [one for one in email.message_from_bytes(data).walk() if one.get_content_type() == "text/html"]
    page = tmp_path / "digest.html"
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    page.write_bytes(payload)
    browser.get(page.as_uri())
    said, wrong = look(browser, "file://")
    assert wrong == []
    assert [text for text in STORED if word_of(text) not in said] == []
