"""The pictures of the README: `make screenshots`. SHOTS: the folder that they are written to."""

import os
from pathlib import Path

import pytest

from services.console.web.who import COOKIE
from tests.e2e.console.desk import Desk
from tests.e2e.console.scene import WAITING, hold, hold_infected, swaks
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.screenshots import take

pytestmark = pytest.mark.slow


def test_pictures_of_the_console_are_small(gateway: Gateway, desk: Desk, tmp_path: Path) -> None:
    name = swaks(gateway, "Quarterly figures")
    swaks(gateway, "Minutes of the meeting", f"somebody@{WAITING}")
    for subject in ("Order 1077", "Holidays", "Your invoice"):
        swaks(gateway, subject)
    # Refused at once.
    gateway.send(b"Subject: To whom it may concern\r\n\r\nHello.\r\n", recipient="anybody@elsewhere.test")
    hold_infected(gateway)
    held = hold(gateway, "Figures, packed")
    desk.finds(f"/messages/{name}", "Delivered")
    desk.finds("/quarantine", "Figures, packed")

    def is_counted() -> bool:
        desk.go("/")
        return "0" not in [one.text for one in desk.all("main .legend li:nth-child(-n+3) strong")]

    wait_until(is_counted, 120)
    desk.go("/quarantine")
    link = desk.one(f"main a[href*='/quarantine/{held}/']").get_attribute("href") or ""
    cookie = desk.browser.get_cookie(COOKIE)
    assert cookie is not None
    folder = Path(os.environ.get("SHOTS", tmp_path))
    made = take(desk.url, cookie["value"], name, link.split("/quarantine/")[1], folder)
    assert [one.name for one in made if one.stat().st_size > 200_000] == []
