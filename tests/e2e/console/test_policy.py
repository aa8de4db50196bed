"""The policy is edited, applied until it is confirmed, and taken back; what would be folly is refused with its proof."""

import pytest
from selenium.webdriver.common.by import By

from tests.e2e.console.desk import Desk
from tests.e2e.gateway import Gateway, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_MESSAGE = b"From: alice@sender.test\r\nSubject: Hello\r\n\r\nHello.\r\n"


def edit(desk: Desk, more: str) -> None:
    """Open the document and write more at its end."""
    desk.go("/policy")
    text = desk.one("#f-text").get_attribute("value") or ""
    desk.write("#f-text", f"{text}\n{more}\n")


def apply(desk: Desk, more: str, reason: str, minutes: int | None = None) -> None:
    """Apply a longer document. minutes: to confirm it in; None: for good."""
    edit(desk, more)
    desk.press("Show what changes")
    desk.sees("What changes", *more.splitlines())
    desk.fill(reason=reason)
    if minutes is None:
        desk.click("#w-good")
    else:
        desk.fill(minutes=str(minutes))
    desk.press("Apply")


def ours(domain: str) -> str:
    return f'[domains."{domain}"]\nrecipients = ["*"]\nroute = "maildir:mail"'


def takes(gateway: Gateway, domain: str) -> bool:
    """Whether mail to a domain is taken."""
    return gateway.send(_MESSAGE, recipient=f"anybody@{domain}").startswith("250 ")


def test_what_is_wrong_is_told_as_it_is_typed(desk: Desk) -> None:
    desk.go("/policy")
    desk.one("#f-text").send_keys("\n[bams]\nenabled = true\n")
    desk.sees("This cannot be applied", "bams")
    assert desk.path == "/policy"


def test_a_version_that_nobody_confirms_goes_back_by_itself(gateway: Gateway, desk: Desk) -> None:
    assert not takes(gateway, "brief.test")
    apply(desk, ours("brief.test"), "only a try", minutes=1)
    desk.sees("waits for its confirmation")
    wait_until(lambda: takes(gateway, "brief.test"), 20)
    desk.finds("/policy/history", "went back", "only a try", within_s=120)
    wait_until(lambda: not takes(gateway, "brief.test"), 30)
    desk.go("/policy")
    assert "brief.test" not in (desk.one("#f-text").get_attribute("value") or "")


def test_a_version_is_confirmed_and_stays(gateway: Gateway, desk: Desk) -> None:
    apply(desk, ours("stays.test"), "a new branch", minutes=5)
    desk.sees("waits for its confirmation")
    desk.press("Confirm: it stays")
    desk.sees("It is confirmed, and stays")
    assert "waits for its confirmation" not in desk.text
    assert takes(gateway, "stays.test")


def test_a_version_is_taken_back_before_its_time(desk: Desk) -> None:
    apply(desk, "# tried by anna", "a try", minutes=5)
    desk.finds("/policy", "waits for its confirmation")
    desk.press("Take it back now")
    desk.sees("It is taken back")
    desk.finds("/policy/history", "a try", "taken back")
    desk.go("/policy")
    assert "waits for its confirmation" not in desk.text


def test_an_earlier_version_is_brought_back_from_the_history(gateway: Gateway, desk: Desk) -> None:
    apply(desk, ours("mistake.test"), "a mistake")
    wait_until(lambda: takes(gateway, "mistake.test"), 30)
    desk.go("/policy/history")
    desk.browser.find_elements(By.CSS_SELECTOR, "main td a[href^='/policy/']")[1].click()
    desk.sees("Back to this version", 'domains."mistake.test"')
    desk.fill(reason="it was a mistake")
    desk.click("#w-good")
    desk.press("Roll back")
    desk.sees("The new version is in force")
    wait_until(lambda: not takes(gateway, "mistake.test"), 30)
    desk.finds("/policy/history", "it was a mistake")


def test_what_would_lock_out_whoever_applies_it_is_refused_with_the_rule_and_the_address(desk: Desk) -> None:
    edit(desk, '[[access]]\naction = "deny"\nnetworks = ["127.0.0.0/8"]\nservices = ["console"]')
    desk.press("Show what changes")
    desk.sees("This cannot be applied", "this would lock you out: you act from 127.0.0.1", "[[access]] rule 1")
    assert [one.text for one in desk.all("main button")].count("Apply") == 0


def test_an_open_relay_is_refused_with_the_rule_and_a_client_who_could_use_it(gateway: Gateway, desk: Desk) -> None:
    desk.go("/policy")
    text = desk.one("#f-text").get_attribute("value") or ""
    desk.write("#f-text", text.replace("[relay]\nnetworks = []", '[relay]\nnetworks = ["0.0.0.0/0"]'))
    desk.sees("This cannot be applied", "open relay: a client at", "relay.networks (0.0.0.0/0)")
    desk.press("Show what changes")
    desk.sees("This cannot be applied", "open relay: a client at", "relay.networks (0.0.0.0/0)")
    assert not takes(gateway, "elsewhere.test")
