"""Held mail is looked at safely, released, learned from and deleted."""

import hashlib

import pytest

from infra.local.clamd import EICAR
from tests.e2e.console.desk import Desk
from tests.e2e.console.scene import hold, hold_infected
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.test_quarantine import arrived

pytestmark = pytest.mark.slow
_SENDER = "accountant@sender.test"


def open_held(desk: Desk, name: str) -> None:
    """Go to a held mail by the list."""
    link = f"main a[href*='/quarantine/{name}/']"

    def there() -> bool:
        desk.go("/quarantine")
        return bool(desk.all(link))

    wait_until(there, 30)
    desk.click(link)
    desk.sees("Why it is held")


def test_held_mail_is_read_and_released_and_arrives(gateway: Gateway, desk: Desk) -> None:
    name = hold(gateway, "Zeros")
    open_held(desk, name)
    desk.sees("zeros.zip")
    desk.fill(reason="asked for by its recipient")
    desk.press("Release")
    wait_until(lambda: len(arrived(gateway, name)) == 1, 30)
    desk.finds(f"/messages/{name}", "Delivered")


def test_hostile_mail_is_shown_as_text_with_its_attachments_as_names_and_hashes(gateway: Gateway, desk: Desk) -> None:
    name = hold_infected(gateway)
    open_held(desk, name)
    desk.sees("<b>Prize</b>", "<i>prize</i>.txt", hashlib.sha256(EICAR).hexdigest(), "https://evil.test/", "Eicar")
    assert "Prize" in desk.browser.title
    assert desk.all("main b, main i, main a[href*='evil'], main script, main iframe, main img") == []


def test_infected_mail_is_deleted_for_good(gateway: Gateway, desk: Desk) -> None:
    name = hold_infected(gateway)
    open_held(desk, name)
    desk.press("Delete", sure=True)
    desk.finds("/quarantine?state=deleted", "Prize")
    assert name not in gateway.gatepost("quarantine", "list", "--json").stdout
    assert arrived(gateway, name) == []


def test_a_mail_is_released_and_its_sender_is_let_through(gateway: Gateway, desk: Desk) -> None:
    open_held(desk, hold(gateway, "Figures", _SENDER))
    desk.fill(reason="our accountant")
    desk.press("Release and let the sender through")
    desk.finds("/policy/history", "our accountant")
    again = hold(gateway, "More figures", _SENDER)
    wait_until(lambda: len(arrived(gateway, again)) == 1, 30)
    desk.finds(f"/messages/{again}", "Delivered")


def test_the_engine_learns_from_a_held_mail(gateway: Gateway, desk: Desk) -> None:
    open_held(desk, hold_infected(gateway))
    desk.fill(reason="plainly spam")
    desk.press("Learn as spam")
    desk.finds("/audit?action=quarantine+learn", "plainly spam")


def tick(desk: Desk, names: list[str]) -> None:
    """Go to the list and tick some of the held."""

    def all_there() -> bool:
        desk.go("/quarantine")
        return all(desk.all(f"main input[name=mail][value^='{name}/']") for name in names)

    wait_until(all_there, 30)
    for name in names:
        desk.click(f"main input[name=mail][value^='{name}/']")


def test_many_are_released_at_once_with_progress(gateway: Gateway, desk: Desk) -> None:
    names = [hold(gateway, f"Release {number}") for number in range(4)]
    tick(desk, names)
    desk.fill("main .bulk", reason="all are wanted")
    desk.press("Release", "main .bulk")
    desk.sees("Releasing", "all are wanted")
    # The page follows by itself.
    desk.sees("4 of 4 done")
    wait_until(lambda: all(len(arrived(gateway, name)) == 1 for name in names), 30)


def test_many_are_deleted_at_once_and_what_was_not_ticked_stays(gateway: Gateway, desk: Desk) -> None:
    names = [hold(gateway, f"Delete {number}") for number in range(3)]
    kept = hold(gateway, "Kept")
    tick(desk, names)
    desk.fill("main .bulk", reason="none is wanted")
    desk.press("Delete", "main .bulk", sure=True)
    desk.sees("3 of 3 done")
    listed = gateway.gatepost("quarantine", "list", "--json").stdout
    assert [name in listed for name in (*names, kept)] == [False, False, False, True]
