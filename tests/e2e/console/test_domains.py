"""Domains, accounts and rules of access are made and changed by forms, and mail meets what they say at once."""

import smtplib
import ssl

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.console.scene import WAITING, reply_to
from tests.e2e.gateway import Gateway, wait_until

pytestmark = pytest.mark.slow
_MESSAGE = b"From: alice@sender.test\r\nSubject: To a new domain\r\n\r\nHello.\r\n"
_NEIGHBOUR, _OTHER = "127.0.0.77", "127.0.0.66"


def reply(gateway: Gateway, recipient: str) -> str:
    return gateway.send(_MESSAGE, recipient=recipient)


def may_log_in(gateway: Gateway, password: str) -> bool:
    context = ssl.create_default_context(cafile=str(gateway.layout.tls / "authority.pem"))
    with smtplib.SMTP_SSL("localhost", gateway.edge.listeners["submissions"].port, context=context, timeout=30) as smtp:
        smtp.ehlo()
        try:
            smtp.login("erna@gatepost.test", password)
        except smtplib.SMTPAuthenticationError:
            return False
        return True


def test_a_domain_is_added_and_its_recipients_are_changed_after_a_look_at_the_difference(
    gateway: Gateway, desk: Desk
) -> None:
    assert reply(gateway, "carla@added.test").startswith("550 ")
    desk.go("/domains")
    desk.press("Add a domain")
    desk.fill(domain="added.test", routes="maildir:mail", listed="carla", reason="they are ours now")
    desk.choose(kind="list")
    desk.press("Add")
    desk.is_at("/domains/added.test")
    wait_until(lambda: reply(gateway, "carla@added.test").startswith("250 "), 30)
    assert reply(gateway, "dora@added.test").startswith("550 ")
    people = "form[action$='/people']"
    desk.fill(people, listed="carla\ndora", reason="dora has come")
    desk.press("Show what changes", people)
    desk.sees("Nothing is changed yet", '"dora"')
    assert reply(gateway, "dora@added.test").startswith("550 ")
    desk.press("Apply", people)
    wait_until(lambda: reply(gateway, "dora@added.test").startswith("250 "), 30)
    desk.finds("/policy/history", "dora has come", "they are ours now")


def test_a_domain_gets_dkim_keys_whose_records_are_shown(desk: Desk) -> None:
    desk.go(f"/domains/{WAITING}")
    desk.press("DKIM keys")
    desk.press("Make keys")
    desk.sees("v=DKIM1", f"._domainkey.{WAITING}", "waits", "rsa", "ed25519")
    # Nobody has published them.
    desk.press("Switch")
    desk.sees("not")
    assert "signs" not in [one.text for one in desk.all("main .badge")]
    desk.press("Forget the waiting keys", sure=True)
    desk.sees("There are no keys")


def test_an_account_is_made_logs_in_and_is_disabled(gateway: Gateway, desk: Desk) -> None:
    desk.go("/accounts")
    desk.press("Add an account")
    desk.fill(login="erna@gatepost.test")
    desk.press("Add")
    desk.sees("The account is added")
    password = desk.text_of("password")
    wait_until(lambda: may_log_in(gateway, password), 30)
    desk.press("To the account")
    desk.press("Disable", sure=True)
    desk.sees("disabled")
    wait_until(lambda: not may_log_in(gateway, password), 30)


def test_a_rule_of_access_turns_a_client_away_until_it_is_removed(gateway: Gateway, desk: Desk) -> None:
    assert reply_to(gateway, _NEIGHBOUR).startswith("250 ")
    desk.go("/access")
    desk.unfold("Add a rule")
    desk.fill("form[action='/access/add']", networks=_NEIGHBOUR, text="Not you, neighbour")
    for service in ("console", "metrics"):
        desk.click(f"main input[name=services][value={service}]")
    desk.press("Show what changes")
    desk.sees("What changes", f'networks = ["{_NEIGHBOUR}/32"]')
    desk.fill(reason="they only send spam")
    desk.click("#w-good")
    desk.press("Apply")
    desk.sees("The new version is in force")
    wait_until(lambda: "Not you, neighbour" in reply_to(gateway, _NEIGHBOUR), 30)
    assert reply_to(gateway, "127.0.0.1").startswith("250 ")
    desk.go("/access")
    desk.sees(_NEIGHBOUR)
    desk.press("Remove", "main td")
    desk.fill(reason="they have stopped")
    desk.click("#w-good")
    desk.press("Apply")
    wait_until(lambda: reply_to(gateway, _NEIGHBOUR).startswith("250 "), 30)


def test_an_address_is_banned_turned_away_and_found_and_the_ban_is_lifted(gateway: Gateway, desk: Desk) -> None:
    desk.go("/access")
    desk.fill("form[action='/access/bans/add']", address=_OTHER, length="1h", why="it guesses passwords")
    desk.press("Ban")
    desk.sees("The address is banned", _OTHER)
    wait_until(lambda: not reply_to(gateway, _OTHER).startswith("250 "), 30)
    # It was turned away before the greeting, and is found all the same.
    desk.finds(f"/messages?q={_OTHER}", "refused")
    desk.click("main tbody a[href^='/messages/']")
    desk.sees(_OTHER, "banned")
    desk.go("/access")
    desk.press("Lift", "main td")
    desk.sees("The ban is lifted", "Nobody is banned")
    wait_until(lambda: reply_to(gateway, _OTHER).startswith("250 "), 30)
    desk.finds("/audit", "ban remove", _OTHER)
