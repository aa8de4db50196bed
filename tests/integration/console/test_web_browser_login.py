"""Logging in with a real browser, which has a key of its own, and without scripts."""

import asyncio
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions
from selenium.webdriver.support.ui import WebDriverWait

from infra.local.ports import free_ports
from services.console.database import Database
from services.console.identity.rights import Role
from services.console.web.app import create_app
from services.console.web.backstage import Backstage
from services.console.web.serve import WebServer
from tests.integration.console.people import PASSWORD, VERIFIER
from tests.integration.console.site import Site
from tests.integration.console.web_settings import settings_for

pytestmark = pytest.mark.slow
_WAIT_S = 30


async def serve(folder: Path, port: int, ready: threading.Event, stop: asyncio.Event) -> None:
    database = Database(f"sqlite+aiosqlite:///{folder}/gatepost.db")
    await database.migrate()
    settings = settings_for(database, folder)
    assert settings.web is not None
    web = settings.web.model_copy(update={"public_url": f"https://localhost:{port}", "port": port})
    settings = settings.model_copy(update={"web": web})
    backstage = Backstage(settings, database)
    await Site(backstage).user("anna", Role.ADMINISTRATOR, password=VERIFIER)
    server = WebServer(web, settings.hostname, create_app(backstage))
    await server.start()
    ready.set()
    await stop.wait()
    await server.close()
    await database.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A console over TLS, in a thread of its own."""
    port, ready = free_ports(1)[0], threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(tmp_path, port, ready, stop)))
    thread.start()
    try:
        assert ready.wait(_WAIT_S)
        yield f"https://localhost:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_WAIT_S)
        loop.close()


@contextmanager
def chromium(*, scripts: bool = True, logs: Sequence[str] = ()) -> Iterator[webdriver.Chrome]:
    """Give a browser. logs: which of its own logs it keeps."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("Debian's chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--ignore-certificate-errors", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if logs:
        options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


class Page:
    """What somebody does with a browser."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def go(self, path: str) -> None:
        self.browser.get(self.url + path)

    def click(self, selector: str) -> None:
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def is_at(self, path: str) -> None:
        def arrived(browser: webdriver.Chrome) -> bool:
            return browser.current_url.removeprefix(self.url).startswith(path)

        WebDriverWait(self.browser, _WAIT_S).until(arrived)

    def text_of(self, name: str) -> str:
        """Wait for an element, by its id."""
        found = WebDriverWait(self.browser, _WAIT_S).until(lambda browser: browser.find_elements(By.ID, name))
        return str(found[0].text)

    def log_in(self, path: str) -> None:
        self.go(f"/login?next={path}")
        self.browser.find_element(By.NAME, "name").send_keys("anna")
        self.browser.find_element(By.NAME, "password").send_keys(PASSWORD)
        self.click("button.main")


def test_a_passkey_is_added_opens_the_console_alone_and_is_a_second_factor(url: str) -> None:
    with chromium() as browser:
        browser.add_virtual_authenticator(
            VirtualAuthenticatorOptions(
                transport=VirtualAuthenticatorOptions.Transport.INTERNAL,
                has_resident_key=True,
                has_user_verification=True,
                is_user_verified=True,
            )
        )
        page = Page(browser, url)
        page.log_in("/me/passkeys")
        page.is_at("/me/passkeys")
        page.click("[data-passkey=create]")
        page.is_at("/me/recovery-codes")
        page.click("main button.main")
        codes = page.text_of("codes").split()
        assert len(set(codes)) == 10
        page.click("form[action='/logout'] button")
        page.is_at("/login?note=out")
        page.go("/login?next=/users")
        page.click("[data-passkey=get]")
        page.is_at("/users")
        page.click("form[action='/logout'] button")
        page.is_at("/login?note=out")
        page.log_in("/audit")
        page.is_at("/login/second?next=/audit")
        page.click("[data-passkey=get]")
        page.is_at("/audit")
        (told,) = [
            line for line in browser.find_elements(By.CSS_SELECTOR, "tbody tr") if "password and passkey" in line.text
        ]
        assert "127.0.0.1" in told.text
        page.click("form[action='/logout'] button")
        page.is_at("/login?note=out")
        page.log_in("/audit")
        page.is_at("/login/second?next=/audit")
        page.click("details summary")
        browser.find_element(By.NAME, "recovery").send_keys(codes[3].upper())
        page.click("details button")
        page.is_at("/me?note=recovery")
        assert "9 left" in browser.find_element(By.ID, "main").text


def test_logging_in_and_adding_a_user_needs_no_script(url: str) -> None:
    with chromium(scripts=False) as browser:
        page = Page(browser, url)
        page.log_in("/users/new")
        page.is_at("/users/new")
        browser.find_element(By.NAME, "name").send_keys("ben")
        page.click("main button.main")
        assert "/invited/" in page.text_of("link")
        # What a script alone could do is not offered.
        page.go("/me/passkeys")
        assert not browser.find_element(By.CSS_SELECTOR, "[data-passkey]").is_displayed()
        page.click("form[action='/logout'] button")
        page.is_at("/login?note=out")
