"""Logging in to the console."""

import asyncio
import html
import re
import ssl
import time
from pathlib import Path

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from services.console.database import Database
from services.console.identity.passwords import is_right
from services.console.identity.tables import failed_logins
from services.console.web.who import KNOWN_COOKIE
from tests.integration.console.elsewhere import serving
from tests.integration.console.people import PASSWORD, VERIFIER, People, cookie_of, log_in, take_csrf
from tests.integration.console.site import URL


@pytest.fixture
def people(sqlite: Database, tmp_path: Path) -> People:
    return People(sqlite, tmp_path)


async def with_app(people: People, name: str = "anna") -> pyotp.TOTP:
    secret = pyotp.random_base32()
    await people.set(name, totp_secret=secret)
    return pyotp.TOTP(secret)


async def test_name_and_password_open_the_console_and_lead_to_the_page_that_was_asked_for(people: People) -> None:
    await people.add()
    async with people.site.stranger() as browser:
        asked = await browser.get("/users")
        assert asked.headers["location"] == "/login?next=/users"
        form = await browser.get(asked.headers["location"])
        assert 'name="next" value="/users"' in form.text
        entered = await log_in(browser, " Anna ", PASSWORD, next="/users")
        assert (entered.status_code, entered.headers["location"]) == (303, "/users")
        assert (await browser.get("/users")).status_code == 200
        # Who is in already needs no form.
        assert (await browser.get("/login?next=/audit")).headers["location"] == "/audit"


async def test_a_page_whose_path_has_odd_letters_is_come_to_through_log_in_and_proof(people: People) -> None:
    await people.add()
    await people.add("ben+x@example.org")
    app = await with_app(people)
    async with people.site.stranger() as browser:
        to_log_in = (await browser.get("/users/ben%2Bx%40example.org")).headers["location"]
        form = await browser.get(to_log_in)
        second = (await log_in(browser, next=hidden_next(form.text))).headers["location"]
        form = await browser.get(second)
        await take_csrf(browser, second)
        data = {"code": app.at(people.clock.now), "next": hidden_next(form.text)}
        arrived = (await browser.post("/login/second", data=data)).headers["location"]
        page = await browser.get(arrived)
        assert (page.status_code, "<h1>ben+x@example.org" in page.text) == (200, True), arrived
        await take_csrf(browser, "/me")
        people.clock.now += 601
        again = (await browser.post("/users/ben%2Bx%40example.org/disable")).headers["location"]
        data = {"password": PASSWORD, "next": hidden_next((await browser.get(again)).text)}
        assert (await browser.post("/me/again", data=data)).headers["location"] == arrived


def hidden_next(page: str) -> str:
    found = re.search(r'name="next" value="([^"]*)"', page)
    assert found
    return html.unescape(found[1])


async def test_the_cookie_is_bound_to_the_host_and_kept_from_scripts_and_other_sites(people: People) -> None:
    await people.add()
    async with people.site.stranger() as browser:
        session, known = (await log_in(browser)).headers.get_list("set-cookie")
    assert session.startswith("__Host-gatepost=")
    assert known.startswith("__Host-gatepost-known=")
    guarded = {"httponly", "path=/", "samesite=strict", "secure"}
    # The session ends with the browser.
    assert {part.strip().lower() for part in session.split(";")[1:]} == guarded
    assert {part.strip().lower() for part in known.split(";")[1:]} == guarded | {"max-age=15552000"}


async def test_no_page_of_another_host_comes_after_the_log_in(people: People) -> None:
    await people.add()
    for bad in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "evil"):
        async with people.site.stranger() as browser:
            assert (await log_in(browser, next=bad)).headers["location"] == "/", bad
        async with people.site.stranger() as browser:
            assert "evil" not in (await browser.get("/login", params={"next": bad})).text


async def test_a_wrong_password_an_unknown_name_and_a_user_who_is_shut_out_get_the_same_answer(people: People) -> None:
    await people.add("anna")
    await people.add("gone")
    await people.add("invited")
    await people.set("gone", disabled=True)
    await people.set("invited", argon2="")
    answers = []
    async with people.site.stranger() as browser:
        for name, password in (("anna", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD), ("invited", PASSWORD)):
            answer = await log_in(browser, name, password)
            answers.append((answer.status_code, answer.text))
            assert "set-cookie" not in answer.headers
    assert len(set(answers)) == 1
    assert answers[0][0] == 401
    assert "Name or password is wrong" in answers[0][1]


async def test_an_unknown_name_costs_the_processor_time_of_a_known_one() -> None:
    async def took(verifier: str) -> float:
        begun = time.process_time()
        assert not await is_right("wrong password", verifier)
        return time.process_time() - begun

    await took("")
    known = min([await took(VERIFIER) for _ in range(3)])
    unknown = min([await took("") for _ in range(3)])
    assert 0.4 < unknown / known < 2.5


async def test_a_password_of_older_parameters_is_hashed_anew_at_the_log_in(people: People) -> None:
    await people.add()
    await people.set("anna", argon2=PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD))
    async with people.site.stranger() as browser:
        assert (await log_in(browser)).status_code == 303
    assert "m=65536,t=3" in (await people.row("anna")).argon2


async def test_brute_force_on_a_name_is_slowed_more_and_more_wherever_it_comes_from(people: People) -> None:
    await people.add()
    waits = []
    async with people.site.stranger() as browser:
        for _ in range(8):
            answer = await log_in(browser, "anna", "wrong")
            while answer.status_code == 429:
                waits.append(int(answer.headers["retry-after"]))
                assert f"in {waits[-1]} seconds" in answer.text
                # The right password is not heard either, so that nothing is learnt by trying.
                assert (await log_in(browser)).status_code == 429
                people.clock.now += waits[-1]
                answer = await log_in(browser, "anna", "wrong")
    assert waits == [5, 10, 20]
    # After the wait the right one is heard, and all is forgotten.
    people.clock.now += 40
    async with people.site.stranger() as browser:
        assert (await log_in(browser)).status_code == 303
        assert (await log_in(people.site.stranger(), "anna", "wrong")).status_code == 401


async def test_who_fails_in_a_users_name_does_not_keep_the_user_out_of_a_browser_that_is_known(people: People) -> None:
    await people.add("anna")
    await people.add("ben")
    async with people.in_whole("anna") as mine, people.in_whole("ben") as bens:
        await mine.post("/logout")
        async with people.site.stranger() as attacker:
            for _ in range(5):
                await log_in(attacker, "anna", "wrong")
            assert (await log_in(attacker)).status_code == 429
        # Another user's browser, and a mark that somebody made, are no help.
        assert (await log_in(bens, "anna")).status_code == 429
        async with people.site.stranger() as forger:
            for mark in ("x.y", "é", "." * 5000):
                forger.headers["Cookie"] = f"{KNOWN_COOKIE}={mark}".encode().decode("latin1")
                assert (await log_in(forger)).status_code == 429, mark
        assert (await log_in(mine)).status_code == 303
        # A browser that is known has no more tries than a stranger.
        await take_csrf(mine, "/me")
        await mine.post("/logout")
        assert [(await log_in(mine, "anna", "wrong")).status_code for _ in range(6)] == [401] * 5 + [429]
        # What it did right does not clear the others' failures.
        assert (await log_in(people.site.stranger())).status_code == 429


async def test_an_unknown_name_is_slowed_like_a_known_one(people: People) -> None:
    async with people.site.stranger() as browser:
        codes = [(await log_in(browser, "nobody", "wrong")).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]


async def test_brute_force_from_an_address_is_slowed_whatever_the_names(people: People) -> None:
    async with people.site.stranger() as browser:
        codes = [(await log_in(browser, f"name{number}", "wrong")).status_code for number in range(22)]
    assert codes == [401] * 20 + [429] * 2


async def test_no_header_says_where_a_log_in_comes_from(people: People, tmp_path: Path) -> None:
    codes = []
    async with serving(people.site.backstage, tmp_path) as elsewhere:
        trust = ssl.create_default_context(cafile=str(elsewhere.certificate))
        async with httpx.AsyncClient(verify=trust, base_url=elsewhere.url) as browser:
            for number in range(22):
                claimed = f"198.51.100.{number}"
                browser.headers.update(
                    {"X-Forwarded-For": claimed, "Forwarded": f"for={claimed}", "X-Real-IP": claimed}
                )
                # A passkey's answer costs no hash.
                codes.append((await browser.post("/login/passkey", json={"answer": "x"})).status_code)
    assert codes == [401] * 20 + [429] * 2
    assert {row.address for row in await people.audit()} == {"127.0.0.1"}


async def test_twenty_tries_at_the_same_moment_are_five(people: People) -> None:
    await people.add()
    async with people.site.stranger() as browser:
        answers = await asyncio.gather(*(log_in(browser, "anna", f"wrong {number}") for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 15


async def test_a_second_factor_is_asked_for_and_until_then_no_page_opens(people: People) -> None:
    await people.add()
    app = await with_app(people)
    async with people.site.stranger() as browser:
        first = await log_in(browser, next="/users")
        assert first.headers["location"] == "/login/second?next=/users"
        half = cookie_of(browser)
        assert (await browser.get("/users")).headers["location"] == "/login?next=/users"
        await take_csrf(browser, "/login/second?next=/users")
        wrong = await browser.post("/login/second", data={"code": "000000", "next": "/users"})
        assert wrong.status_code == 401
        entered = await browser.post("/login/second", data={"code": app.at(people.clock.now), "next": "/users"})
        assert entered.headers["location"] == "/users"
        # The value of the first step opens nothing more.
        assert cookie_of(browser) != half
        assert (await browser.get("/users")).status_code == 200
        old = people.site.stranger()
        old.headers["Cookie"] = f"__Host-gatepost={half}"
        assert (await old.get("/users")).status_code == 303
        assert (await old.get("/login/second")).headers["location"] == "/login"


async def test_a_code_is_taken_once_and_one_step_late(people: People) -> None:
    await people.add()
    app = await with_app(people)
    code = app.at(people.clock.now)
    people.clock.now += 30
    for expected in (303, 401):
        async with people.site.stranger() as browser:
            await log_in(browser)
            await take_csrf(browser, "/login/second")
            assert (await browser.post("/login/second", data={"code": code})).status_code == expected
    people.clock.now += 90
    async with people.site.stranger() as browser:
        await log_in(browser)
        await take_csrf(browser, "/login/second")
        late = app.at(people.clock.now - 60)
        assert (await browser.post("/login/second", data={"code": late})).status_code == 401


async def test_codes_are_not_guessed_by_giving_the_password_again_and_again(people: People) -> None:
    await people.add()
    await with_app(people)
    codes = []
    for number in range(6):
        async with people.site.stranger() as browser:
            if (await log_in(browser)).status_code == 429:
                codes.append(429)
                continue
            await take_csrf(browser, "/login/second")
            codes.append((await browser.post("/login/second", data={"code": f"{number:06}"})).status_code)
    assert codes == [401] * 5 + [429]


async def test_the_second_step_takes_no_form_of_another_page_and_ends_after_ten_minutes(people: People) -> None:
    await people.add()
    app = await with_app(people)
    async with people.site.stranger() as browser:
        await log_in(browser)
        refused = await browser.post("/login/second", data={"code": app.at(people.clock.now)})
        assert refused.status_code == 403
        await take_csrf(browser, "/login/second")
        people.clock.now += 601
        late = await browser.post("/login/second", data={"code": app.at(people.clock.now)})
        assert late.status_code == 401
        assert (await browser.get("/login/second")).headers["location"] == "/login"


async def test_another_site_can_log_nobody_in(people: People) -> None:
    await people.add()
    async with people.site.stranger() as browser:
        for origin, site, expected in (
            ("https://evil.example", None, 403),
            ("null", None, 403),
            ("https://evil.example", "cross-site", 403),
            ("null", "same-site", 403),
            (URL, None, 303),
            # As browsers send it with our own form, whose referrer policy makes the origin null.
            ("null", "same-origin", 303),
        ):
            browser.headers["Origin"] = origin
            browser.headers.pop("Sec-Fetch-Site", None)
            if site is not None:
                browser.headers["Sec-Fetch-Site"] = site
            assert (await log_in(browser)).status_code == expected, (origin, site)


async def test_logging_out_ends_the_session_in_the_database_too(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        value = cookie_of(browser)
        out = await browser.post("/logout")
        assert out.headers["location"] == "/login?note=out"
        assert cookie_of(browser) == ""
    async with people.site.stranger() as again:
        again.headers["Cookie"] = f"__Host-gatepost={value}"
        assert (await again.get("/users")).status_code == 303


async def test_a_session_ends_after_an_hour_without_a_request_and_after_twelve_hours_at_all(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        for _ in range(13):
            people.clock.now += 3300
            assert (await browser.get("/users")).status_code == 200
        people.clock.now += 3300 * 0.2
        assert (await browser.get("/users")).status_code == 303
    async with people.in_whole() as browser:
        people.clock.now += 3601
        assert (await browser.get("/users")).status_code == 303


async def test_the_audit_shows_log_ins_failures_and_log_outs_with_the_address_and_never_an_unknown_name(
    people: People,
) -> None:
    await people.add()
    async with people.site.stranger() as browser:
        await log_in(browser, "hunter2 is my password", "x")
        await log_in(browser, "anna", "wrong")
        await log_in(browser)
        await take_csrf(browser, "/me")
        await browser.post("/logout")
    rows = await people.audit()
    assert [(row.who, row.action) for row in rows] == [
        ("unknown name", "log-in failed"),
        ("anna", "log-in failed"),
        ("anna", "log-in"),
        ("anna", "log-out"),
    ]
    assert {(row.address, row.via) for row in rows} == {("192.0.2.7", "browser")}
    assert "hunter2" not in str(rows)
    async with people.database.reading() as connection:
        assert "hunter2" not in str((await connection.execute(select(failed_logins))).all())


async def test_the_audit_shows_where_a_request_comes_from_not_where_the_session_began(people: People) -> None:
    await people.add()
    async with people.in_whole() as browser:
        browser._transport.client = ("198.51.100.9", 1)  # type: ignore[attr-defined]
        await browser.post("/users/new", data={"name": "ben", "role": "viewer"})
    added = (await people.audit())[-1]
    assert (added.action, added.address) == ("user add", "198.51.100.9")


async def test_a_user_who_is_shut_out_is_out_at_once(people: People) -> None:
    await people.add("anna")
    async with people.in_whole("anna") as browser:
        await people.set("anna", disabled=True)
        assert (await browser.get("/me")).status_code == 303
