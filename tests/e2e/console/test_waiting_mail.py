"""What is ordered for mail that waits, at a destination that has no time, and what becomes of the mail."""

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.console.scene import WAITING, Door, swaks
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.test_quarantine import arrived
from tests.nexthop import NextHop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
# A message that is held back comes by once a minute.
_COMES_BY_S = 120


def let_wait(gateway: Gateway, desk: Desk, subject: str, sender: str = "alice@sender.test") -> str:
    """Send a mail that waits, go to the list of what waits for its hop, and return its id."""
    name = swaks(gateway, subject, f"somebody@{WAITING}", sender)
    desk.finds(f"/messages/{name}", "no time now")
    desk.go("/queues")
    desk.press("smtp://127.0.0.1:")
    desk.sees(subject, "no time now")
    return name


def order(desk: Desk, name: str, kind: str, words: str, **fields: str) -> None:
    """Give an order for one message of the list."""
    desk.click(f"main input[name=target][value='{name}']")
    desk.choose(kind=kind)
    desk.press("Go on")
    desk.sees(f"{words}?", "1 message", name)
    desk.fill(**fields)
    desk.press(f"{words}: 1 message")
    desk.sees("Ordered for 1 target")


def test_mail_is_tried_at_once(gateway: Gateway, desk: Desk, door: Door) -> None:
    name = let_wait(gateway, desk, "Retried")
    door.is_open = True
    order(desk, name, "retry", "Try now", why="they are back")
    wait_until(lambda: door.has("Retried"), _COMES_BY_S)
    desk.finds(f"/messages/{name}", "Delivered")
    desk.finds("/audit?action=queue+retry", "they are back")


def test_a_destination_is_held_back_and_let_go_on(gateway: Gateway, desk: Desk, door: Door) -> None:
    let_wait(gateway, desk, "Before")
    desk.press("Hold back")
    desk.fill(why="they move house")
    desk.press("Hold back")
    desk.sees("Ordered for 1 target", "they move house")
    door.is_open = True
    later = swaks(gateway, "After", f"somebody@{WAITING}")
    desk.finds(f"/messages/{later}", "suspended", within_s=_COMES_BY_S)
    assert door.mails == []
    desk.go("/queues")
    desk.sees("Held back", "they move house")
    desk.press("Go on", "main td")
    desk.sees("Go on?")
    desk.press("Go on")
    desk.sees("Ordered for 1 target")
    wait_until(lambda: door.has("Before") and door.has("After"), _COMES_BY_S)
    desk.finds("/queues", "Nothing is held back by an order")


def test_mail_is_sent_elsewhere(gateway: Gateway, desk: Desk, door: Door, elsewhere: NextHop) -> None:
    name = let_wait(gateway, desk, "Rerouted")
    order(desk, name, "reroute", "Send elsewhere", to=f"smtp://127.0.0.1:{elsewhere.port}", why="they are there")
    wait_until(lambda: len(elsewhere.mails) == 1, _COMES_BY_S)
    assert b"Rerouted" in elsewhere.mails[0].message
    assert door.mails == []
    desk.finds(f"/messages/{name}", "Delivered")


def test_mail_is_given_up_and_its_sender_is_told(gateway: Gateway, desk: Desk, door: Door) -> None:
    name = let_wait(gateway, desk, "Bounced", "demo@gatepost.test")
    before = set(arrived(gateway, "01"))
    order(desk, name, "bounce", "Give up, tell the sender", why="they are gone for good")
    wait_until(lambda: set(arrived(gateway, "01")) > before, _COMES_BY_S)
    (report,) = set(arrived(gateway, "01")) - before
    # Its lines are folded.
    told = " ".join(report.read_text().split())
    assert "Returned by the administrator: they are gone for good" in told
    assert "Subject: Bounced" in told
    assert door.mails == []


def test_mail_is_thrown_away(gateway: Gateway, desk: Desk, door: Door) -> None:
    name = let_wait(gateway, desk, "Cancelled")
    order(desk, name, "cancel", "Throw away", why="sent twice")
    desk.finds(f"/messages/{name}", "Cancelled", "sent twice", within_s=_COMES_BY_S)
    door.is_open = True
    desk.finds("/queues", "Nothing waits")
    assert door.mails == []
