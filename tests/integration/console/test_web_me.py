"""What users do with their own log-in."""

import json
import re
from pathlib import Path

import pyotp
import pytest

from services.console.actions.users import invite_again
from services.console.database import Database
from services.console.identity.rights import Role, on_this_host
from tests.integration.console.authenticator import SoftKey
from tests.integration.console.people import PASSWORD, People, add_key, cookie_of, log_in, take_csrf
from tests.integration.console.site import URL

NEW = "nine yellow submarines"


@pytest.fixture
def people(sqlite: Database, tmp_path: Path) -> People:
    return People(sqlite, tmp_path)


async def test_what_changes_a_log_in_wants_a_proof_of_the_last_ten_minutes(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        people.clock.now += 601
        for path in ("/me/password", "/me/totp", "/me/passkeys", "/me/tokens"):
            assert (await browser.get(path)).headers["location"] == f"/me/again?next={path}"
            assert (await browser.post(path, json={"answer": "x"})).status_code in {303, 422}
        for path in ("/me/totp/remove", "/me/passkeys/x/remove", "/me/passkeys/begin"):
            assert (await browser.post(path)).headers["location"].startswith("/me/again"), path
        wrong = await browser.post("/me/again", data={"password": "wrong", "next": "/me/password"})
        assert wrong.status_code == 422
        before = cookie_of(browser)
        proved = await browser.post("/me/again", data={"password": PASSWORD, "next": "/me/password"})
        assert proved.headers["location"] == "/me/password"
        assert cookie_of(browser) != before
        assert (await browser.get("/me/password")).status_code == 200


async def test_a_passkey_proves_who_somebody_is_again(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser)
        people.clock.now += 601
        options = json.loads((await browser.post("/me/again/passkey/begin")).text)
        done = await browser.post("/me/again/passkey", json={"answer": key.get(options), "next": "/me/totp"})
        assert done.json() == {"next": "/me/totp"}
        assert (await browser.get("/me/totp")).status_code == 200


async def test_a_key_that_lies_beside_an_open_browser_proves_nothing(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        key = await add_key(browser, SoftKey(URL, verifies=False))
        people.clock.now += 601
        options = json.loads((await browser.post("/me/again/passkey/begin")).text)
        assert options["userVerification"] == "required"
        touched = await browser.post("/me/again/passkey", json={"answer": key.get(options), "next": "/me/totp"})
        assert touched.status_code == 422
        assert (await browser.get("/me/totp")).headers["location"] == "/me/again?next=/me/totp"
    assert ("anna", "proof failed") in await people.actions()


async def test_a_new_password_ends_the_links_to_another_one(people: People) -> None:
    await people.add()
    made = await invite_again(people.site.backstage.desk(on_this_host("root")), "anna")
    path = made.link.removeprefix(URL)
    async with people.in_whole() as browser, people.site.stranger() as thief:
        assert (await thief.get(path)).status_code == 200
        await browser.post("/me/password", data={"password": NEW, "again": NEW})
        assert (await thief.get(path)).status_code == 404
        assert (await thief.post(path, data={"password": "x" + NEW, "again": "x" + NEW})).status_code == 404


async def test_a_new_password_ends_the_other_sessions_and_the_old_password(people: People) -> None:
    await people.add()
    new = NEW
    async with people.in_whole() as other, people.in_whole() as browser:
        differ = await browser.post("/me/password", data={"password": new, "again": "x"})
        assert differ.status_code == 409
        common = await browser.post("/me/password", data={"password": "password1234", "again": "password1234"})
        assert common.status_code == 422
        done = await browser.post("/me/password", data={"password": new, "again": new})
        assert done.headers["location"] == "/me?note=password"
        assert (await browser.get("/me")).status_code == 200
        assert (await other.get("/me")).status_code == 303
    async with people.site.stranger() as browser:
        assert (await log_in(browser)).status_code == 401
        assert (await log_in(browser, "anna", new)).status_code == 303


async def test_an_authenticator_app_counts_once_a_code_of_it_has_come(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        page = (await browser.get("/me/totp")).text
        assert "<svg" in page
        assert "style=" not in page
        found = re.search(r'id="key">([A-Z2-7 ]+)<', page)
        assert found
        secret = found[1].replace(" ", "")
        # The same until it is confirmed, so that a reload does not spoil what was scanned.
        assert found[1] in (await browser.get("/me/totp")).text
        assert (await browser.post("/me/totp", data={"code": "123"})).status_code == 422
        assert (await people.row("anna")).totp_secret is None
        code = pyotp.TOTP(secret).at(people.clock.now)
        assert (await browser.post("/me/totp", data={"code": code})).status_code == 200
        assert (await people.row("anna")).totp_secret == secret
        assert secret not in (await browser.get("/me")).text
    async with people.site.stranger() as browser:
        await log_in(browser)
        await take_csrf(browser, "/login/second")
        # The code of the confirmation was taken by it.
        assert (await browser.post("/login/second", data={"code": code})).status_code == 401
    async with people.site.stranger() as browser:
        await log_in(browser)
        await take_csrf(browser, "/login/second")
        later = pyotp.TOTP(secret).at(people.clock.now + 30)
        assert (await browser.post("/login/second", data={"code": later})).status_code == 303


async def test_one_browser_logs_another_out_but_only_of_its_user(people: People) -> None:
    await people.add("anna")
    await people.add("ben", role=Role.VIEWER)
    async with (
        people.in_whole("anna") as first,
        people.in_whole("anna") as second,
        people.in_whole("ben") as ben,
    ):
        ends = re.findall(r'action="(/me/sessions/[^"]+/end)"', (await first.get("/me")).text)
        assert len(ends) == 1
        assert (await ben.post(ends[0])).status_code == 404
        assert (await second.get("/me")).status_code == 200
        assert (await first.post(ends[0])).status_code == 303
        assert (await second.get("/me")).status_code == 303
