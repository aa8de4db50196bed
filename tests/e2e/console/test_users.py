"""Users come by a link, see what is theirs, prove who they are, and lend their rights to programs."""

import ssl
import time
from collections.abc import Iterator

import httpx
import pyotp
import pytest
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

from tests.e2e.console.desk import PASSWORD, Desk, add_user, another, logged_in
from tests.e2e.console.scene import WAITING, hold, swaks
from tests.e2e.gateway import Gateway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other(desk: Desk) -> Iterator[Desk]:
    """Somebody else's browser."""
    with another(desk) as made:
        yield made


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(other: Desk) -> Iterator[None]:
    yield
    other.browser.delete_all_cookies()


def test_the_link_of_the_first_administrator_works_once(desk: Desk, other: Desk, first_link: str) -> None:
    assert desk.path
    other.go(first_link)
    assert other.all("main input[type=password]") == []
    other.sees("link")


def test_a_domain_manager_sees_and_decides_what_is_of_the_own_domain_alone(
    gateway: Gateway, desk: Desk, other: Desk
) -> None:
    theirs, foreign = swaks(gateway, "Theirs"), swaks(gateway, "Foreign", f"somebody@{WAITING}")
    held, kept_from_them = hold(gateway, "Held theirs"), hold(gateway, "Held foreign", to=f"somebody@{WAITING}")
    desk.finds(f"/messages/{theirs}", "Delivered")
    desk.finds("/quarantine", "Held theirs", "Held foreign")
    desk.finds("/queues", "smtp://127.0.0.1:")
    manager = logged_in(other.browser, desk, "mia", "domain-manager", "gatepost.test")
    manager.finds("/messages", "Theirs")
    for path in ("/messages", "/quarantine", "/queues", "/domains", "/"):
        manager.go(path)
        assert [word for word in ("Foreign", "foreign", WAITING) if word in manager.text] == [], path
    places = [one.text for one in manager.all("nav a")]
    assert places == ["Overview", "Messages", "Quarantine", "Queues", "Domains", "Accounts"]
    for path in (f"/messages/{foreign}", f"/domains/{WAITING}", f"/messages/{kept_from_them}", "/policy", "/users",
                 "/audit", "/access", "/events", "/doctor"):  # fmt: skip
        manager.go(path)
        assert "Foreign" not in manager.text, path
        assert manager.all("main form[method=post], main table, main dl") == [], path
    manager.go("/quarantine")
    manager.click(f"main a[href*='/quarantine/{held}/']")
    manager.press("Delete", sure=True)
    desk.finds("/quarantine?state=deleted", "Held theirs")


def test_a_session_that_is_ended_in_one_browser_is_over_in_the_other(desk: Desk, other: Desk) -> None:
    ben = logged_in(other.browser, desk, "ben", "operator")
    with another(desk) as second:
        second.log_in_as("ben", "/me")
        second.is_at("/me")
        ben.go("/me")
        assert len(ben.all("main form[action*='/sessions/']")) == 1
        ben.press("Log out", "main td")
        ben.finds("/me", "this one")
        assert ben.all("main form[action*='/sessions/']") == []
        second.go("/queues")
        second.is_at("/login?next=/queues")


def test_a_user_is_shut_out_at_once(desk: Desk, other: Desk) -> None:
    sara = logged_in(other.browser, desk, "sara", "viewer")
    sara.go("/messages")
    desk.go("/users/sara")
    desk.press("Shut out", sure=True)
    desk.sees("shut out")
    sara.go("/messages")
    sara.is_at("/login")
    sara.log_in_as("sara")
    sara.sees("Name or password is wrong")


def test_a_token_lends_a_program_the_rights_that_it_names(gateway: Gateway, desk: Desk) -> None:
    desk.go("/me/tokens")
    desk.fill(label="monitoring")
    desk.choose(role="viewer")
    desk.press("Make it")
    headers = {"Authorization": f"Bearer {desk.text_of('token')}"}
    context = ssl.create_default_context(cafile=str(gateway.layout.tls / "authority.pem"))
    with httpx.Client(base_url=f"{desk.url}/api/v1", headers=headers, verify=context, timeout=30) as program:
        assert program.get("/messages").status_code == 200
        assert program.get("/users").status_code == 403
        desk.finds("/me", "monitoring", "127.0.0.1")
        desk.press("Remove", "main form[action*='/me/tokens/']", sure=True)
        desk.sees("The token is removed")
        assert program.get("/messages").status_code == 401


def test_an_authenticator_app_is_set_up_and_asked_for_at_the_next_log_in(desk: Desk, other: Desk) -> None:
    tom = logged_in(other.browser, desk, "tom", "operator")
    tom.go("/me/totp")
    app = pyotp.TOTP("".join(tom.text_of("key").split()))
    tom.fill(code=app.now())
    tom.press("Use this app")
    tom.sees("recovery codes")
    code = tom.text_of("codes").split()[0]
    tom.log_out()
    tom.log_in_as("tom", "/queues")
    tom.is_at("/login/second")
    tom.fill(code="000000")
    tom.press("Log in")
    tom.sees("The code is wrong")
    # The one of now was used up.
    tom.fill(code=app.at(time.time() + 30))
    tom.press("Log in")
    tom.is_at("/queues")
    tom.log_out()
    tom.log_in_as("tom")
    tom.is_at("/login/second")
    tom.unfold("App or keys lost?")
    tom.fill(recovery=code)
    tom.press("Log in with a recovery code")
    tom.is_at("/me")


def test_a_passkey_opens_the_console_without_a_password(desk: Desk) -> None:
    with another(desk) as theirs:
        options = VirtualAuthenticatorOptions(
            transport=VirtualAuthenticatorOptions.Transport.INTERNAL,
            has_resident_key=True,
            has_user_verification=True,
            is_user_verified=True,
        )
        theirs.browser.add_virtual_authenticator(options)
        kim = logged_in(theirs.browser, desk, "kim", "operator")
        kim.go("/me/passkeys")
        kim.press("Add it")
        # The first key leads to codes for the day when it is lost.
        kim.is_at("/me/recovery-codes")
        kim.log_out()
        kim.go("/login?next=/queues")
        kim.press("Use a passkey")
        kim.is_at("/queues")


def test_a_link_to_a_password_works_once(desk: Desk, other: Desk) -> None:
    link = add_user(desk, "lea", "viewer")
    other.set_password(link)
    other.press("Set the password")
    other.is_at("/login")
    other.browser.get(link)
    assert other.all("main input[type=password]") == []
    assert PASSWORD not in other.browser.page_source
