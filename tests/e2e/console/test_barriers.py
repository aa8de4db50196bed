"""No page of the console has a serious barrier, by day, by night, and on a phone.

The pages are those of the application's own routes: a new one is looked at without being named here, and one with a
parameter fails until `examples` say what stands for it.
"""

import re

import pyotp
import pytest
from fastapi.routing import APIRoute

from services.console.web import pages
from tests.e2e.console.desk import Desk, add_user, another, logged_in
from tests.e2e.console.scene import WAITING, hold, hold_infected, swaks
from tests.e2e.gateway import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# Not pages: files, and parts of pages that a page fetches.
_PARTS = ("/audit/export.csv", "/audit/export.jsonl", "/overview/live", "/events/live", "/domains/checking",
          "/quarantine/bulk/{job}/state",
          "/quarantine/{message_id}/{part}/raw")  # fmt: skip
# Of strangers, and looked at by tests of their own.
_STRANGERS = ("/login", "/login/second", "/first/{token}", "/invited/{token}", "/digest/{token}")
# What the page needs to show anything.
_ASKED = {
    "/policy/compare": "?old=1&new=2",
    "/queues/order": f"?kind=reroute&target={WAITING}",
    "/queues/destination": "?waits_as=queued",
    "/accounts/show": "?login={name}@gatepost.test",
    "/accounts/log-ins": "?address=127.0.0.1",
    "/policy/simulate": "?client=192.0.2.7&listener=mx&sender=a@sender.test&recipients=demo@gatepost.test&helo=a.test",
    "/messages": "?q=sender.test",
}
_LOOKS = {"light": ("light", 1200, 800), "dark": ("dark", 1200, 800), "phone": ("light", 360, 780),
          "phone by night": ("dark", 360, 780)}  # fmt: skip


def page_routes() -> list[str]:
    """Return the path of every page that can be asked for."""
    return sorted(
        route.path
        for router in pages.routers()
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    )


@pytest.fixture(scope="module")
def examples(gateway: Gateway, desk: Desk) -> dict[str, str]:
    """What stands for the parameters of paths, on a gateway with something of everything."""
    message = swaks(gateway, "A mail to look at")
    waits = swaks(gateway, "A mail that waits", f"somebody@{WAITING}")
    held, infected = hold(gateway, "A mail that is held"), hold_infected(gateway)
    desk.finds(f"/messages/{message}", "Delivered")
    desk.finds(f"/messages/{waits}", "no time now")
    desk.finds("/quarantine", "A mail that is held", "<b>Prize</b>")
    link = desk.one(f"main a[href*='/quarantine/{infected}/']").get_attribute("href") or ""
    desk.click(f"main input[name=mail][value^='{held}/']")
    desk.fill("main .bulk", reason="looked at")
    desk.press("Learn as wanted", "main .bulk")
    desk.sees("of 1 done")
    job = desk.path.rpartition("/")[2]
    user = f"otto-{message[-6:]}"
    add_user(desk, user, "viewer")
    desk.go("/accounts/new")
    desk.fill(login=f"{user}@gatepost.test")
    desk.press("Add")
    desk.sees("The account is added")
    desk.go("/domains/gatepost.test/dkim")
    if desk.all("form[action$='/dkim/add']"):
        desk.press("Make keys")
        desk.sees("v=DKIM1")
    desk.go("/policy")
    text = desk.one("#f-text").get_attribute("value") or ""
    desk.write("#f-text", text + "\n# a second version\n")
    desk.press("Show what changes")
    desk.fill(reason="so that there are two")
    desk.click("#w-good")
    desk.press("Apply")
    desk.sees("The new version is in force")
    desk.go("/domains/gatepost.test")
    desk.press("Check it")
    desk.finds("/domains/gatepost.test/check", "gatepost.test")
    desk.go("/doctor")
    desk.press("Look")
    return {"message_id": infected, "part": link.rpartition("/")[2], "job": job, "name": user, "version:int": "1",
            "domain": "gatepost.test"}  # fmt: skip


def address_of(path: str, examples: dict[str, str]) -> str:
    """Return where a page is to be seen. KeyError: nothing stands for one of its parameters yet."""
    return re.sub(r"\{([^}]+)\}", lambda found: examples[found[1]], path + _ASKED.get(path, ""))


@pytest.mark.parametrize("look", _LOOKS)
def test_no_page_has_a_serious_barrier(desk: Desk, examples: dict[str, str], look: str) -> None:
    desk.looks(*_LOOKS[look])
    found = {}
    try:
        for path in page_routes():
            if path in _PARTS or path in _STRANGERS:
                continue
            desk.go(address_of(path, examples))
            assert desk.all("nav.side"), f"{path} is no page of somebody who is logged in: {desk.text[:300]}"
            if barriers := desk.barriers():
                found[path] = barriers
    finally:
        desk.looks_as_before()
    assert found == {}


def test_a_problem_has_no_serious_barrier(desk: Desk) -> None:
    desk.go("/messages/0123456789abcdefghjkmnpqrs")
    assert desk.barriers() == []
    desk.go("/no/such/page")
    assert desk.barriers() == []


@pytest.mark.parametrize("look", _LOOKS)
def test_no_page_of_a_stranger_has_a_serious_barrier(desk: Desk, examples: dict[str, str], look: str) -> None:
    desk.go(f"/users/{examples['name']}")
    desk.press("Make a new link")
    desk.sees("A link for")
    link = desk.text_of("link")
    with another(desk) as stranger:
        stranger.looks(*_LOOKS[look])
        for path in ("/login", "/first/none", "/invited/none", "/digest/none", "/no/such/page"):
            stranger.go(path)
            assert (path, stranger.barriers()) == (path, [])
        stranger.browser.get(link)
        assert stranger.barriers() == []


def test_the_second_step_of_a_log_in_has_no_serious_barrier(desk: Desk) -> None:
    with another(desk) as theirs:
        zoe = logged_in(theirs.browser, desk, "zoe", "viewer")
        zoe.go("/me/totp")
        zoe.fill(code=pyotp.TOTP("".join(zoe.text_of("key").split())).now())
        zoe.press("Use this app")
        zoe.sees("recovery codes")
        zoe.log_out()
        zoe.log_in_as("zoe")
        zoe.is_at("/login/second")
        for look, (scheme, width, height) in _LOOKS.items():
            zoe.looks(scheme, width, height)
            assert (look, zoe.barriers()) == (look, [])
