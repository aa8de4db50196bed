"""What strangers and other users wrote is text, on every page, in each form's answer and in the report by mail, for a real
browser.
"""

import email
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from infra.local.ports import free_ports
from services.console.database import Database
from services.console.digest.mail import Digest, Entry, digest_mail
from services.console.digest.token import Ask, Ticket, token_of
from services.console.identity.rights import Role
from services.console.identity.secret import digest_of
from services.console.identity.sessions import Step, open_session
from services.console.reports.reporter import Reporter
from services.console.web.app import create_app
from services.console.web.errands import Errands
from services.console.web.headers import Guarded
from services.console.web.serve import WebServer
from services.console.web.who import COOKIE
from shared.event import EventKind
from shared.ids import new_id
from shared.policy import Policy, parse_policy
from shared.policy_entry import PolicyEntry
from tests.integration.console.hostile_scene import (
    DOMAIN,
    FACTS,
    JOB,
    ROOT,
    fill,
    fill_errands,
    fill_state,
    policy_text,
)
from tests.integration.console.hostile_text import STORED, word_of
from tests.integration.console.in_thread import Loop, loop_in_thread
from tests.integration.console.policy_scene import FIRST, PolicyScene, publish
from tests.integration.console.site import Site
from tests.integration.console.test_access_matrix import ROUTES
from tests.integration.console.watched import Watched, watched
from tests.integration.console.web_settings import SECRET
from tests.rabbit import Rabbit
from tests.redis import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# A file is no page.
_FILES = ("/raw", "/export.csv", "/export.jsonl")
_DIGEST = FIRST + "[quarantine_digest]\nenabled = true\n"
# Forms that would end the test's own session, or ask for who has it.
_NOT_SENT = ("/logout", "/me/again", "/me/sessions")
_FILL_S = 300
_FILL = """
const [place, text] = arguments;
const form = document.forms[place];
// What an answer has done away with is asked no more.
if (!form) return false;
for (const one of form.elements) {
  if (one.name === 'csrf' || one.type === 'hidden') continue;
  if (one.tagName === 'TEXTAREA' || ['text', 'search', 'password', 'email'].includes(one.type)) one.value = text;
}
HTMLFormElement.prototype.submit.call(form);
return true;
"""


class InForce:
    """The policy that this process has in force."""

    policy: Policy = parse_policy(_DIGEST)


@dataclass(frozen=True, slots=True)
class Shown:
    """A console full of it. held: by text. until: when its links end."""

    url: str
    cookie: str
    rabbit: Rabbit
    loop: Loop
    stories: dict[str, str]
    held: dict[str, str]
    until: int

    def publish(self) -> None:
        """Put versions of the policy on the stream, which every test begins without."""

        async def each() -> None:
            for version, text in enumerate(STORED[:60:6], 1):
                await publish(self.rabbit, PolicyEntry(version, text, text, time.time(), policy_text()))

        self.loop.do(each())

    def paths(self) -> Iterator[str]:
        """Yield every page, with what strangers can make somebody ask for."""
        texts = itertools.cycle(STORED)
        story_of, (held_of, *_) = next(iter(self.stories.values())), self.held.values()
        known = {"message_id}/{part": held_of, "message_id": story_of, "domain": DOMAIN, "name": ROOT,
                 "version:int": "1", "job": JOB}  # fmt: skip
        for route in ROUTES:
            if route.method != "GET" or route.is_api or route.path.endswith(_FILES):
                continue
            path = route.path
            for name, value in known.items():
                path = path.replace(f"{{{name}}}", value)
            yield path if "{" not in path else _named(path, next(texts))
            # What is not there is named in the answer.
            for text in itertools.islice(texts, 2 if "{" in route.path else 0):
                yield _named(route.path, text)
        for text in STORED[::4]:
            told = quote(text[:200], safe="")
            yield from (f"/{told}", f"/users/{quote(text[:300], safe='')}", f"/messages?q={told}")
            yield f"/queues/destination?{urlencode({'hop': f'smtp://{text[:200]}:25'})}"
            yield f"/accounts/show?{urlencode({'login': text[:300]})}"
        for text in STORED[::20]:
            names = ("q", "address", "domain", "note", "next", "hop", "login", "who", "target", "reason", "why", "rule",
                     "sender", "recipient", "subject", "ip", "listener", "since", "until", "cursor", "kind", "outcome",
                     "state", "old", "new", "action", "waits_as")  # fmt: skip
            for name, path in itertools.product(names, ("/messages", "/queues/order")):
                yield f"{path}?{urlencode({name: text[:300]})}"
            for path in ("/events", "/audit", "/queues", "/queues/destination", "/accounts/log-ins", "/policy/compare",
                         "/quarantine", "/accounts", "/login", "/policy/history", "/access", "/login/second"):  # fmt: skip
                yield f"{path}?{urlencode(dict.fromkeys(names, text[:60]))}"
                yield f"{path}?{urlencode({'login': text[:60], 'address': text[:60], 'who': text[:60]})}"
        yield from (f"/messages/{name}" for name in self.stories.values())
        yield from (f"/quarantine/{name}" for name in self.held.values())
        yield from (f"/digest/{self.digest_token(text)}" for text in STORED)
        yield from (f"/invited/{number:043}" for number in range(len(STORED)))

    def digest_token(self, text: str) -> str:
        message_id, part = self.held[text].split("/")
        return token_of(Ticket(message_id, part, f"demo@{DOMAIN}", self.until, Ask.RELEASE), SECRET)


def _named(path: str, text: str) -> str:
    return re.sub(r"\{[^}]+\}", quote(text[:200], safe=""), path)


@pytest.fixture(scope="module")
def shown(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("hostile")
    redis = RedisServer(folder)
    redis.start()
    with loop_in_thread() as loop, ExitStack() as stack:
        stack.callback(redis.kill)
        yield loop.do(serve(rabbit, redis, folder, stack, loop), _FILL_S)


async def serve(rabbit: Rabbit, redis: RedisServer, folder: Path, stack: ExitStack, loop: Loop) -> Shown:
    database = Database(f"sqlite+aiosqlite:///{folder}/gatepost.db")
    stack.callback(lambda: loop.do(database.close()))
    await database.migrate()
    scene = PolicyScene(rabbit, database, folder, redis.settings)
    stack.callback(lambda: loop.do(scene.close()))
    port, now = free_ports(1)[0], time.time()
    settings = scene.backstage.settings
    assert settings.web is not None
    web = settings.web.model_copy(update={"public_url": f"https://localhost:{port}", "port": port})
    backstage = replace(scene.backstage, settings=settings.model_copy(update={"web": web}), policy=InForce())
    await Site(backstage).user(ROOT, Role.ADMINISTRATOR)
    stories, held = await fill(database, now, digest_of)
    await fill_state(redis.settings, now)
    cookie = await open_session(database, ROOT, Step.WHOLE, address="127.0.0.1", agent="tests", now=now)
    app = create_app(backstage)
    assert isinstance(app, Guarded)
    app._app.state.errands = Errands()  # type: ignore[attr-defined]
    fill_errands(app._app.state.errands, now)  # type: ignore[attr-defined]
    server = WebServer(web, "localhost", app)
    await server.start()
    stack.callback(lambda: loop.do(server.close()))
    return Shown(f"https://localhost:{port}", cookie, rabbit, loop, stories, held, int(now) + 9999)


@pytest.fixture(scope="module")
def browser() -> Iterator[Watched]:
    with watched() as started:
        yield started


@pytest.fixture
def inside(browser: Watched, shown: Shown) -> Watched:
    """The same, logged in."""
    browser.open(f"{shown.url}/login")
    browser.driver.add_cookie({"name": COOKIE, "value": shown.cookie, "path": "/", "secure": True})
    browser.look(shown.url)
    return browser


def test_each_kind_of_event_is_told_with_hostile_facts() -> None:
    assert set(FACTS) == set(EventKind)


def test_on_no_page_does_what_others_wrote_become_more_than_text(inside: Watched, shown: Shown) -> None:
    shown.publish()
    wrong, said = {}, {}
    for path in dict.fromkeys(shown.paths()):
        inside.open(shown.url + path)
        said[path], found = inside.look(shown.url)
        if found:
            wrong[path] = found
    # What a page began when it was left is seen now.
    inside.open("about:blank")
    assert inside.look("about:blank")[1] == []
    assert wrong == {}
    for text in STORED:
        for path in (f"/messages/{shown.stories[text]}", f"/quarantine/{shown.held[text]}",
                     f"/digest/{shown.digest_token(text)}"):  # fmt: skip
            assert word_of(text) in said[path], path
    for path in ("/audit", "/queues", "/access", "/accounts", "/policy", "/policy/history", "/users", "/me", "/doctor",
                 "/quarantine", "/messages", f"/domains/{DOMAIN}/check", f"/domains/{DOMAIN}/dkim",
                 f"/quarantine/bulk/{JOB}"):  # fmt: skip
        assert len(set(re.findall(r"\bw\d+w", said[path]))) >= 10, path


def test_no_answer_to_a_form_makes_more_than_text_of_what_was_typed(inside: Watched, shown: Shown) -> None:
    shown.publish()
    wrong, sent = {}, 0
    texts = itertools.cycle(STORED)
    known = {"message_id": next(iter(shown.held.values())).split("/")[0], "domain": DOMAIN, "name": ROOT}
    pages = [path for path in dict.fromkeys(shown.paths()) if path in _pages_with_forms(known)]
    for path in pages:
        inside.open(shown.url + path)
        actions = inside.driver.execute_script(
            "return [...document.forms].map(one => new URL(one.getAttribute('action') || '', location).pathname)"
        )
        for place, action in enumerate(actions):
            if action.startswith(_NOT_SENT):
                continue
            for text in itertools.islice(texts, 3):
                inside.open(shown.url + path)
                sent += bool(inside.driver.execute_script(_FILL, place, text))
                _, found = inside.look(shown.url)
                if found:
                    wrong[f"{path} {action} {text[:60]}"] = found
    assert wrong == {}
    assert sent > 60


def _pages_with_forms(known: dict[str, str]) -> set[str]:
    """Return the paths of pages; of those that need a name, the ones that are there."""
    found = set()
    for route in ROUTES:
        path = route.path
        for name, value in known.items():
            path = path.replace(f"{{{name}}}", value)
        found |= {path} if route.method == "GET" and "{" not in path else set()
    return found


def test_this_browser_would_run_it_if_it_were_not_text(browser: Watched, tmp_path: Path) -> None:
    careless = tmp_path / "careless.html"
    careless.write_text("<meta charset=utf-8><p>" + STORED[8] + "<p>" + STORED[9] + "<p>" + STORED[47], "utf-8")
    browser.open(careless.as_uri())
    _, wrong = browser.look("file://")
    assert "a script ran" in wrong
    assert "asked https://evil.test/pixel.png" in wrong
    assert len([one for one in wrong if one.startswith("made <img")]) == 2


@pytest.mark.parametrize(
    "made, asked",
    [
        ("<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\"><img src=//evil.test/p>", "/p"),
        (
            "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script src=//evil.test/s></script>",
            "/s",
        ),
        ("<link rel=prefetch href=https://evil.test/f>", "/f"),
        ("<form action=https://evil.test/g></form><script>document.forms[0].submit()</script>", "/g?"),
        ("<meta http-equiv=refresh content='0;url=https://evil.test/r'>", "/r"),
        ("<iframe src=https://evil.test/i></iframe>", "/i"),
        ("<script>try { new WebSocket('wss://evil.test/w') } catch {}</script>", "/w"),
        ("<script>navigator.sendBeacon('https://evil.test/b')</script>", "/b"),
        ("<script>fetch('https://evil.test/x').catch(() => 0)</script>", "/x"),
        ("<style>p { background: url(//evil.test/c) }</style><p>x", "/c"),
    ],
)
def test_a_request_to_elsewhere_is_seen_whatever_began_it(
    browser: Watched, tmp_path: Path, made: str, asked: str
) -> None:
    page = tmp_path / "asks.html"
    # Of a file `//` would be another file.
    page.write_text("<meta charset=utf-8>" + made.replace("=//", "=https://").replace("(//", "(https://"), "utf-8")
    browser.driver.get(page.as_uri())
    seen: list[str] = []
    give_up_at = time.monotonic() + 10
    while not any("evil.test" + asked in one for one in seen) and time.monotonic() < give_up_at:
        seen += browser.look("file://")[1]
    assert [one for one in seen if one.startswith("asked ") and "evil.test" + asked in one], seen
    browser.driver.get("about:blank")
    browser.look("about:blank")


def test_the_report_of_quarantine_by_mail_shows_it_as_text(browser: Watched, tmp_path: Path) -> None:
    entries = [Entry(text, text, time.time(), text, Ask.ASK, "https://console.test/digest/x") for text in STORED]
    reporter = Reporter("gate.gatepost.test", "Gatepost", "q@gatepost.test", "", "", 0, 0)
    _, data = digest_mail(Digest("demo@gatepost.test", entries, 0, 7), reporter, new_id(), time.time())
    (part,) = [one for one in email.message_from_bytes(data).walk() if one.get_content_type() == "text/html"]
    page = tmp_path / "digest.html"
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    page.write_bytes(payload)
    browser.open(page.as_uri())
    said, wrong = browser.look("file://")
    assert wrong == []
    assert [text for text in STORED if word_of(text) not in said] == []
