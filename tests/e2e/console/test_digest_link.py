"""Who has no log-in gets held mail by the signed link of a report of quarantine, or asks an administrator for it."""

import time
from collections.abc import Iterator

import pytest

from services.console.digest.token import Ask, Ticket, token_of
from tests.e2e.console.desk import Desk, another
from tests.e2e.console.scene import hold, hold_infected
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.test_quarantine import arrived

pytestmark = pytest.mark.slow
_RECIPIENT = "demo@gatepost.test"


@pytest.fixture
def reader(desk: Desk) -> Iterator[Desk]:
    """The browser of somebody without a log-in."""
    with another(desk) as made:
        yield made


def link_to(gateway: Gateway, desk: Desk, name: str) -> str:
    """Return the path of the link in the report that a recipient gets the next day."""
    web = gateway.console.web
    assert web is not None

    def parts() -> list[str]:
        desk.go("/quarantine")
        return [one.get_attribute("href") or "" for one in desk.all(f"main a[href*='/quarantine/{name}/']")]

    wait_until(lambda: parts() != [], 30)
    ticket = Ticket(name, parts()[0].rpartition("/")[2], _RECIPIENT, int(time.time()) + 600, Ask.RELEASE)
    return f"/digest/{token_of(ticket, web.secret.get_secret_value())}"


def test_a_recipient_releases_a_held_mail_by_one_click(gateway: Gateway, desk: Desk, reader: Desk) -> None:
    name = hold(gateway, "In the report")
    reader.go(link_to(gateway, desk, name))
    reader.sees("A held message", "In the report")
    assert reader.barriers() == []
    # Whoever only looks, as mail scanners do, has released nothing.
    assert arrived(gateway, name) == []
    reader.press("Release it to me")
    reader.sees("It is released")
    wait_until(lambda: len(arrived(gateway, name)) == 1, 30)


def test_a_recipient_asks_for_what_is_dangerous_and_the_administrator_sees_it(
    gateway: Gateway, desk: Desk, reader: Desk
) -> None:
    name = hold_infected(gateway)
    reader.go(link_to(gateway, desk, name))
    reader.press("Ask an administrator for it")
    reader.sees("You have asked for it")
    assert arrived(gateway, name) == []
    desk.go("/quarantine")
    desk.click(f"main a[href*='/quarantine/{name}/']")
    desk.sees(f"Asked for by {_RECIPIENT}")


def test_a_link_that_was_changed_leads_nowhere(gateway: Gateway, desk: Desk, reader: Desk) -> None:
    link = link_to(gateway, desk, hold(gateway, "Not for you"))
    reader.go(link[:-1] + ("A" if link[-1] != "A" else "B"))
    assert reader.all("main form") == []
    assert "Not for you" not in reader.text
