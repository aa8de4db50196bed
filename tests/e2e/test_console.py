"""What a newcomer does in the console of a running gateway with real mail, in a real browser."""

import os
import re
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from services.console.web.who import COOKIE
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.screenshots import take
from tests.e2e.test_quarantine import MESSAGE, arrived
from tests.integration.console.test_web_browser_login import Page, chromium

pytestmark = pytest.mark.slow
_PASSWORD = "seven green bottles"
_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b")
_AXE = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
_PAGES = ("/", "/messages", "/quarantine", "/queues", "/drain", "/events", "/domains", "/domains/gatepost.test",
          "/domains/new", "/domains/gatepost.test/dkim", "/accounts", "/accounts/new", "/accounts/log-ins", "/access",
          "/policy", "/policy/history", "/policy/simulate", "/audit", "/users", "/users/new", "/doctor", "/me",
          "/me/tokens", "/me/password", "/me/passkeys", "/me/totp")  # fmt: skip


class Desk(Page):
    """A browser of somebody at work."""

    def fill(self, **fields: str) -> None:
        for name, text in fields.items():
            field = self.browser.find_element(By.CSS_SELECTOR, f"main [name={name}]")
            field.clear()
            field.send_keys(text)

    @property
    def text(self) -> str:
        return str(self.browser.execute_script("return document.body.textContent"))

    def press(self, words: str) -> None:
        (button, *_) = [
            one for one in self.browser.find_elements(By.CSS_SELECTOR, "main button, main a")
            if one.text.strip().startswith(words)
        ]  # fmt: skip
        self.browser.execute_script("arguments[0].click()", button)

    def barriers(self) -> list[str]:
        """Return what axe finds that is serious or critical."""
        # What is folded away has no colours that could be judged.
        self.browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true;")
        self.browser.execute_script(_AXE)
        found = self.browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def desk(gateway: Gateway, browser: webdriver.Chrome) -> Desk:
    """The first administrator, who came by the link and is logged in."""
    web = gateway.console.web
    assert web is not None
    found = re.search(r"first administrator\s+https://[^/\s]+(/first/\S+)", gateway.output)
    assert found, gateway.output
    made = Desk(browser, f"https://localhost:{web.port}")
    made.go(found[1])
    assert made.barriers() == []
    made.fill(name="anna", password=_PASSWORD, again=_PASSWORD)
    made.press("Set the password")
    wait_until(lambda: "/first/" not in browser.current_url, 30)
    if browser.current_url.startswith(f"{made.url}/login"):
        made.fill(name="anna", password=_PASSWORD)
        made.click("main button.main")
        wait_until(lambda: "/login" not in browser.current_url, 30)
    made.go("/me")
    made.is_at("/me")
    assert "anna" in made.text
    return made


def swaks(gateway: Gateway, subject: str) -> str:
    """Send a mail as anybody would; return its id."""
    command = ["swaks", "--server", f"127.0.0.1:{gateway.port}", "--helo", "client.sender.test", "--from",
               "alice@sender.test", "--to", "demo@gatepost.test", "--header", f"Subject: {subject}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    found = _ID.search(said)
    assert found, said
    return found[0]


def until(desk: Desk, path: str, words: str) -> None:
    def there() -> bool:
        desk.go(path)
        return words in desk.text

    wait_until(there, 30)


def test_mail_is_found_by_a_word_of_its_subject_and_its_trace_tells_that_it_was_delivered(
    gateway: Gateway, desk: Desk
) -> None:
    name = swaks(gateway, "Pomegranate")
    until(desk, f"/messages/{name}", "Delivered")
    desk.go("/messages?q=pomegranate")
    assert desk.browser.find_elements(By.CSS_SELECTOR, f"main a[href='/messages/{name}']")
    assert desk.barriers() == []


def test_held_mail_is_read_and_released_and_arrives(gateway: Gateway, desk: Desk) -> None:
    found = _ID.search(gateway.send(MESSAGE))
    assert found
    until(desk, "/quarantine", "Zeros")
    desk.browser.find_element(By.CSS_SELECTOR, f"main a[href*='/quarantine/{found[0]}/']").click()
    assert "zeros.zip" in desk.text
    assert desk.barriers() == []
    desk.fill(reason="asked for by its recipient")
    desk.press("Release")
    wait_until(lambda: len(arrived(gateway, found[0])) == 1, 30)


def test_what_was_done_stands_in_the_audit_with_who_did_it(desk: Desk) -> None:
    until(desk, "/audit", "anna")
    assert "log-in" in desk.text


def test_a_policy_is_applied_until_it_is_confirmed_and_taken_back(desk: Desk) -> None:
    desk.go("/policy")
    field = desk.browser.find_element(By.ID, "f-text")
    text = (field.get_attribute("value") or "") + "\n# tried by anna\n"
    desk.browser.execute_script("arguments[0].value = arguments[1]", field, text)
    desk.press("Show what changes")
    wait_until(lambda: "tried by anna" in desk.text and "What changes" in desk.text, 30)
    assert desk.barriers() == []
    desk.fill(reason="a try")
    desk.press("Apply")
    until(desk, "/policy", "waits for its confirmation")
    desk.press("Take it back now")
    until(desk, "/policy/history", "a try")
    desk.go("/policy")
    assert "waits for its confirmation" not in desk.text


def test_no_page_has_a_serious_barrier(desk: Desk) -> None:
    found = {}
    for path in _PAGES:
        desk.go(path)
        if barriers := desk.barriers():
            found[path] = barriers
    assert found == {}


def test_pictures_of_the_console_are_small(gateway: Gateway, desk: Desk, tmp_path: Path) -> None:
    name = swaks(gateway, "Quarterly figures")
    until(desk, f"/messages/{name}", "Delivered")
    held = _ID.search(gateway.send(MESSAGE))
    assert held
    until(desk, "/quarantine", "Zeros")
    link = desk.browser.find_element(By.CSS_SELECTOR, f"main a[href*='/quarantine/{held[0]}/']").get_attribute("href")
    assert link is not None
    cookie = desk.browser.get_cookie(COOKIE)
    assert cookie is not None
    made = take(desk.url, cookie["value"], name, link.split("/quarantine/")[1], Path(os.environ.get("SHOTS", tmp_path)))
    assert [one.name for one in made if one.stat().st_size > 150_000] == []
