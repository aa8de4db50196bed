"""Mail is looked for and traced, and what happens is seen as it happens."""

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.console.scene import swaks
from tests.e2e.gateway import Gateway, wait_until

pytestmark = pytest.mark.slow


def test_mail_is_found_by_a_word_of_its_subject_and_its_trace_tells_that_it_was_delivered(
    gateway: Gateway, desk: Desk
) -> None:
    name = swaks(gateway, "Pomegranate")
    desk.finds(f"/messages/{name}", "Delivered")
    desk.go("/messages")
    desk.fill("form[action='/messages']:not(.find)", q="pomegranate")
    desk.press("Find")
    desk.sees("Pomegranate")
    desk.click(f"main a[href='/messages/{name}']")
    desk.sees(name, "alice@sender.test", "demo@gatepost.test")


def test_the_bar_of_every_page_finds_mail_by_its_sender(gateway: Gateway, desk: Desk) -> None:
    name = swaks(gateway, "Quince", sender="quince@sender.test")
    desk.finds(f"/messages/{name}", "Delivered")
    desk.go("/doctor")
    desk.one("#find").send_keys("quince@sender.test\n")
    desk.is_at("/messages?q=")
    desk.sees("Quince")


def test_events_are_seen_as_they_come(gateway: Gateway, desk: Desk) -> None:
    desk.go("/events")
    name = swaks(gateway, "Medlar")
    desk.sees(name, "delivered")
    assert desk.path == "/events"


def test_the_overview_tells_what_fails_and_what_to_do_and_that_it_is_over(gateway: Gateway, desk: Desk) -> None:
    desk.go("/")
    desk.sees("The way of a mail, now", "edge", "content", "delivery")
    with gateway.without("content"):
        # The page follows by itself.
        desk.sees("content is not ready", "Look at the log of content and start it")
    wait_until(lambda: "content is not ready" not in desk.text, 60)
    assert desk.path == "/"
