"""The console of the containers as an administrator meets it: TLS, the way in by the first link, the mail that passed."""

import json
import re
import ssl
from collections.abc import Iterator

import httpx
import pytest

from services.console.web.headers import HEADERS
from tests.compose.containers import STAGES, Containers
from tests.compose.load import send, text

pytestmark = [pytest.mark.compose, pytest.mark.slow, pytest.mark.timeout(600)]

_PASSWORD = "seven green bottles"


@pytest.fixture(scope="module")
def browser(gateway: Containers) -> Iterator[httpx.Client]:
    """Somebody's browser, which trusts the gateway's own authority alone."""
    gateway.wait_healthy("haproxy", *STAGES, "console")
    authority = gateway.engine("exec", gateway.of("console")[0], "cat", "/run/gatepost/ca.pem")
    context = ssl.create_default_context(cadata=authority)
    url = f"https://localhost:{gateway.ports.console}"
    with httpx.Client(base_url=url, verify=context, headers={"Origin": url}, timeout=30) as client:
        yield client


def test_the_console_answers_over_tls_with_all_that_keeps_a_browser_safe(browser: httpx.Client) -> None:
    answer = browser.get("/login")
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert browser.get("/").headers["location"].startswith("/login")
    with pytest.raises(httpx.HTTPError):
        httpx.get(str(browser.base_url).replace("https:", "http:"))


async def test_the_first_administrator_comes_in_and_sees_the_mail_that_passed(
    gateway: Containers, browser: httpx.Client
) -> None:
    link = gateway.engine("exec", gateway.of("console")[0], "gatepost", "user", "first")
    found = re.search(r"https://localhost:(\d+)(/first/\S+)", link)
    assert found, link
    assert int(found[1]) == gateway.ports.console
    new = {"name": "anna", "password": _PASSWORD, "again": _PASSWORD}
    assert browser.post(found[2], data=new).headers["location"].startswith("/login")
    assert browser.post("/login", data={"name": "anna", "password": _PASSWORD}).headers["location"] == "/"
    await send(gateway.ports.mx, text("<shown@sender.test>", "Pomegranates."))

    def is_shown() -> bool:
        page = browser.get("/messages", params={"q": "demo@gatepost.test"})
        assert page.status_code == 200
        return "someone@sender.test" in page.text

    gateway.wait(is_shown, "the mail on the page")
    # The engines are asked beside the page, which does not wait for them.
    for engine in ("clamav:3310", "rspamd:11333"):
        gateway.wait(lambda engine=engine: engine in browser.get("/").text, f"{engine} on the overview")  # type: ignore[misc]


def test_the_doctor_in_the_console_finds_nothing_wrong(gateway: Containers) -> None:
    gateway.wait_healthy("haproxy", *STAGES, "console", "clamav", "rspamd")
    # It ends with 1, and so does this, if anything is wrong.
    found = json.loads(gateway.engine("exec", gateway.of("console")[0], "gatepost", "doctor", "--json"))
    looked_at = {finding["topic"] for finding in found if finding["level"] == "good"}
    assert {"clamd", "rspamd", "broker", "database", "policy", *STAGES, "recorder"} <= looked_at
