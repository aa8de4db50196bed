"""A browser of somebody at work in the console, and what axe finds on its pages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.e2e.gateway import wait_until
from tests.integration.console.test_web_browser_login import Page, chromium

PASSWORD = "seven green bottles"
_WAIT_S = 30


class Desk(Page):
    """What somebody does. Whoever is asked to prove who they are does so."""

    def go(self, path: str) -> None:
        super().go(path)
        if self.path.startswith("/me/again") and not path.startswith("/me/again"):
            self.fill(password=PASSWORD)
            self.press("Go on")
            wait_until(lambda: not self.path.startswith("/me/again"), _WAIT_S)
            super().go(path)

    @property
    def path(self) -> str:
        return urlsplit(self.browser.current_url).path

    @property
    def text(self) -> str:
        """What can be seen."""
        try:
            return str(self.browser.execute_script("return document.body ? document.body.innerText : ''"))
        except WebDriverException:  # between two pages
            return ""

    def sees(self, *words: str) -> None:
        """Wait until all of some words can be seen. What the style writes in capitals counts, too."""
        wanted = [word.casefold() for word in words]

        def there() -> bool:
            seen = self.text.casefold()
            return all(word in seen for word in wanted)

        try:
            wait_until(there, _WAIT_S)
        except AssertionError:
            raise AssertionError(f"{words} not seen at {self.path}:\n{self.text}") from None

    def finds(self, path: str, *words: str, within_s: float = _WAIT_S) -> None:
        """Load a page until it says some words."""

        def there() -> bool:
            self.go(path)
            return all(word in self.text for word in words)

        try:
            wait_until(there, within_s)
        except AssertionError:
            raise AssertionError(f"{words} not found at {path}:\n{self.text}") from None

    def one(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self._click(self.one(selector))

    def _click(self, element: WebElement) -> None:
        # Where somebody would have scrolled to, and not below the bar.
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def fill(self, inside: str = "main", **fields: str) -> None:
        for name, text in fields.items():
            selector = f"{inside} [name={name}]"
            # It may stand on a page that is still to come.
            wait_until(lambda selector=selector: bool(self.all(selector)), _WAIT_S)  # type: ignore[misc]
            field = self.one(selector)
            field.clear()
            field.send_keys(text)

    def choose(self, inside: str = "main", **fields: str) -> None:
        for name, value in fields.items():
            options = Select(self.one(f"{inside} select[name={name}]")).options
            (option,) = [one for one in options if one.get_attribute("value") == value]
            option.click()

    def write(self, selector: str, text: str) -> None:
        """Put a long text where somebody would paste it."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.browser.execute_script(script, self.one(selector), text)

    def press(self, words: str, inside: str = "main", *, sure: bool = False) -> None:
        """Press a button or follow a link that begins with some words. sure: it asks first, and the answer is yes."""
        wait_until(lambda: self._pressed(words, inside), _WAIT_S)
        if sure:
            self.browser.switch_to.alert.accept()

    def _pressed(self, words: str, inside: str) -> bool:
        try:
            found = [one for one in self.all(f"{inside} button, {inside} a") if one.text.strip().startswith(words)]
            if found:
                self._click(found[0])
        except StaleElementReferenceException:  # the page has just changed
            return False
        return bool(found)

    def unfold(self, words: str) -> None:
        """Open what is folded away under some words."""
        (summary,) = [one for one in self.all("main summary") if one.text.startswith(words)]
        self._click(summary)

    def log_in_as(self, name: str, path: str = "/") -> None:
        self.go(f"/login?next={path}")
        self.fill(name=name, password=PASSWORD)
        self.press("Log in")

    def log_out(self) -> None:
        self.press("Log out", "header")
        self.is_at("/login?note=out")

    def set_password(self, link: str) -> None:
        """Follow a link that sets a password."""
        self.browser.get(link)
        self.fill(password=PASSWORD, again=PASSWORD)

    def barriers(self) -> list[str]:
        """Return what axe finds that is serious or critical."""
        # What is folded away has no colours that could be judged.
        self.browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true;")
        self.browser.execute_script(_axe())
        found = self.browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        return [
            f"{one['id']}: {node['html'][:200]} {' '.join(node['failureSummary'].split())[:200]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:3]
        ]

    def looks(self, scheme: str, width: int, height: int, scale: int = 1) -> None:
        """Be seen by day or by night, on a desk or on a phone. scheme: light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def looks_as_before(self) -> None:
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@contextmanager
def another(desk: Desk, *, scripts: bool = True) -> Iterator[Desk]:
    """Give another browser, in which nobody is logged in."""
    with chromium(scripts=scripts) as browser:
        yield Desk(browser, desk.url)


def add_user(desk: Desk, name: str, role: str, domains: str = "") -> str:
    """Add a user, and return the link to a password."""
    desk.go("/users/new")
    desk.fill(name=name, domains=domains)
    desk.choose(role=role)
    desk.press("Add, and make a link")
    desk.sees("A link for")
    return desk.text_of("link")


def logged_in(browser: webdriver.Chrome, desk: Desk, name: str, role: str, domains: str = "") -> Desk:
    """Invite somebody, who sets a password in a browser and logs in there."""
    theirs = Desk(browser, desk.url)
    theirs.set_password(add_user(desk, name, role, domains))
    theirs.press("Set the password")
    theirs.is_at("/login")
    theirs.log_in_as(name, "/me")
    theirs.is_at("/me")
    return theirs


@cache
def _axe() -> str:
    """The script. AXE: the file of another version."""
    if "AXE" in os.environ:
        return Path(os.environ["AXE"]).read_text("utf-8")
    return files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
