"""A real browser that is watched for more than text: scripts that ran, elements that were made, requests to elsewhere.

Requests are those of the browser's own network log, so that none is missed: also what the page's security policy stopped,
what was begun by a prefetch or a socket, and where a form or a frame was to lead.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selenium import webdriver

from tests.integration.console.test_web_browser_login import chromium

_LOOK = """
const evil = [...document.querySelectorAll('*')].filter(one => one.hasAttribute('data-pwn')
  || [...one.attributes].some(a => /^on/.test(a.name) || /^hx-on/.test(a.name)
    || (/^(href|src|action|formaction|hx-.*)$/.test(a.name) && /^\\s*(javascript|data|vbscript):|evil\\.test\\//i.test(a.value)
        && !/^\\/[^\\/]/.test(a.value))));
return {ran: 'pwned' in window, evil: evil.map(one => one.outerHTML.slice(0, 200)),
        said: document.documentElement.textContent, at: location.href, title: document.title};
"""
# Parts of a URL's life within the browser, which go nowhere.
_NOWHERE = ("data:", "blob:", "about:", "chrome:", "chrome-error:")


@dataclass(frozen=True, slots=True)
class Watched:
    """A browser and where it may ask."""

    driver: webdriver.Chrome

    def open(self, url: str) -> None:
        """Open a page."""
        self.driver.get(url)

    def look(self, origin: str) -> tuple[str, list[str]]:
        """Return the text of the page that is open, and what is wrong with it. origin: whither alone requests may go."""
        seen = self.driver.execute_script(_LOOK)
        elsewhere = [url for url in [seen["at"], *self._requests()] if not url.startswith((origin, *_NOWHERE))]
        wrong = [f"asked {url}" for url in dict.fromkeys(elsewhere)] + [f"made {one}" for one in seen["evil"]]
        wrong += ["a script ran"] if seen["ran"] else []
        wrong += ["a template ran"] if "49q" in seen["said"] else []
        wrong += [f"the console says {line}" for line in self._complaints()]
        return str(seen["said"]), wrong

    def _requests(self) -> Iterator[str]:
        for line in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            told = json.loads(line["message"])["message"]
            yield from _urls(told["method"], told["params"])

    def _complaints(self) -> Iterator[str]:
        for line in self.driver.get_log("browser"):  # type: ignore[no-untyped-call]
            text = line["message"]
            if "Content Security Policy" in text or "evil.test" in text.split(" - ")[-1]:
                yield text


def _urls(method: str, params: dict[str, Any]) -> Iterator[str]:
    """Yield where an event of the browser's protocol leads (Chrome DevTools Protocol: Network, Page)."""
    match method:
        case "Network.requestWillBeSent":
            yield params["request"]["url"]
        case "Network.webSocketCreated" | "Network.webTransportCreated" | "Page.frameRequestedNavigation":
            yield params["url"]
        case "Page.windowOpen":
            yield params["url"]
        case _:
            pass


@contextmanager
def watched() -> Iterator[Watched]:
    """Give such a browser."""
    with chromium(logs=("browser", "performance")) as driver:
        yield Watched(driver)
