"""Users of the console: links that are good once, roles, tokens."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from services.console.actions import tokens, users
from services.console.actions.desk import ActionError, Desk, OutOfBounds
from services.console.database import Database
from services.console.first_start import offer_first_administrator
from services.console.identity.rights import Caller, Role, Via, on_this_host
from services.console.identity.tables import invitations
from services.console.identity.tables import tokens as token_table
from services.console.web.app import create_api
from tests.integration.console.people import PASSWORD, VERIFIER, People, add_key, log_in, take_csrf
from tests.integration.console.site import URL

NEW = "nine yellow submarines"


@pytest.fixture
def people(sqlite: Database, tmp_path: Path) -> People:
    return People(sqlite, tmp_path)


def host(people: People) -> Desk:
    return people.site.backstage.desk(on_this_host("root"))


def path_of(link: str) -> str:
    assert link.startswith(URL + "/")
    return link.removeprefix(URL)


async def set_password(people: People, path: str, password: str = NEW, **more: str) -> httpx.Response:
    async with people.site.stranger() as browser:
        return await browser.post(path, data={"password": password, "again": password} | more)


async def test_the_first_start_logs_a_link_once_by_which_the_first_administrator_comes_in(people: People) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            await offer_first_administrator(host(people), people.clock.now)
    (said,) = [line for line in logs if line["event"] == "first-administrator"]
    path = path_of(said["link"])
    async with people.site.stranger() as browser:
        # Looking at it does not use it up.
        for _ in range(2):
            assert "The first administrator" in (await browser.get(path)).text
    assert (await set_password(people, path, name="Root@Example.org")).headers["location"] == "/login?note=set"
    assert (await people.row("root@example.org")).role == "administrator"
    assert (await set_password(people, path, name="second")).status_code == 404
    async with people.site.stranger() as browser:
        assert (await log_in(browser, "root@example.org", NEW)).status_code == 303
    with capture_logs() as logs:
        await offer_first_administrator(host(people), people.clock.now)
    assert not logs
    assert "Root" not in str(said)


async def test_the_first_link_is_of_no_use_once_there_is_an_administrator(people: People) -> None:
    made = await users.invite_first(host(people))
    await people.add("anna")
    assert (await set_password(people, path_of(made.link), name="ben")).status_code == 404
    with pytest.raises(ActionError, match="there is an administrator"):
        await users.invite_first(host(people))


async def test_a_bad_password_or_name_leaves_the_first_link_good(people: People) -> None:
    path = path_of((await users.invite_first(host(people))).link)
    for name, password in (("ben", "short"), ("ben", "password1234"), ("a b", NEW), ("../x", NEW), ("", NEW)):
        answer = await set_password(people, path, password, name=name)
        assert answer.status_code == 422, name
        assert password not in answer.text
    assert (await set_password(people, path, name="ben")).status_code == 303


async def test_an_invited_user_sets_a_password_once_within_seven_days(people: People) -> None:
    await people.add("anna")
    async with people.in_whole() as browser:
        page = await browser.post(
            "/users/new", data={"name": "Ben@Example.org", "role": "domain-manager", "domains": "Example.org b.example"}
        )
        found = re.search(r"https://console\.test(/invited/[\w-]+)", page.text)
        assert found
        assert "invited" in (await browser.get("/users/ben@example.org")).text
    async with people.site.stranger() as browser:
        assert "ben@example.org" in (await browser.get(found[1])).text
    assert (await set_password(people, found[1])).status_code == 303
    assert (await set_password(people, found[1], "another good password")).status_code == 404
    async with people.site.stranger() as browser:
        assert (await log_in(browser, "ben@example.org", NEW)).status_code == 303
        assert (await browser.get("/users")).status_code == 403
        assert "b.example, example.org" in (await browser.get("/me")).text


async def test_a_link_is_over_after_seven_days_or_when_a_newer_one_is_made(people: People, sqlite: Database) -> None:
    first = await users.add_user(host(people), "ben", Role.VIEWER)
    second = await users.invite_again(host(people), "ben")
    assert (await set_password(people, path_of(first.link))).status_code == 404
    async with sqlite.writing() as connection:
        await connection.execute(invitations.update().values(ends_at=1.0))
    assert (await set_password(people, path_of(second.link))).status_code == 404


async def test_a_link_used_by_two_at_once_is_used_by_one(people: People) -> None:
    made = await users.add_user(host(people), "ben", Role.VIEWER)
    answers = await asyncio.gather(
        *(set_password(people, path_of(made.link), f"{NEW} {number}") for number in range(3))
    )
    assert sorted(answer.status_code for answer in answers) == [303, 404, 404]


async def test_a_new_password_by_a_link_keeps_the_second_factor_and_ends_the_sessions(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.OPERATOR)
    async with people.in_whole("ben") as browser:
        await add_key(browser)
        made = await users.invite_again(host(people), "ben")
        assert (await browser.get("/me")).status_code == 200
        await set_password(people, path_of(made.link))
        assert (await browser.get("/me")).status_code == 303
    async with people.site.stranger() as browser:
        assert (await log_in(browser, "ben", NEW)).headers["location"].startswith("/login/second")


@pytest.mark.parametrize("deed", ["remove", "disable", "demote"])
async def test_the_last_administrator_who_can_log_in_stays(people: People, deed: str) -> None:
    await people.add("anna")
    await people.add("invited")
    await people.set("invited", argon2="")
    await people.add("gone")
    await people.set("gone", disabled=True)
    desk = host(people)
    deeds: dict[str, Callable[[], Awaitable[object]]] = {
        "remove": lambda: users.remove_user(desk, "anna"),
        "disable": lambda: users.disable_user(desk, "anna"),
        "demote": lambda: users.change_user(desk, "anna", Role.OPERATOR),
    }
    work = deeds[deed]
    with pytest.raises(ActionError, match="last administrator"):
        await work()
    row = await people.row("anna")
    assert (row.role, row.disabled) == ("administrator", False)
    assert await people.audit() == []
    # With another one it is done.
    await people.set("invited", argon2=VERIFIER)
    await work()


async def test_two_administrators_who_remove_each_other_leave_one(database: Database, tmp_path: Path) -> None:
    people = People(database, tmp_path)
    await people.add("anna")
    await people.add("ben")
    done = await asyncio.gather(
        users.remove_user(host(people), "anna"), users.remove_user(host(people), "ben"), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["ActionError", "NoneType"]
    assert len(await users.list_users(host(people))) == 1


async def test_nobody_gives_rights_they_do_not_have_nor_raises_themselves(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.OPERATOR)
    ben = people.site.backstage.desk(Caller("ben", Role.OPERATOR, via=Via.BROWSER, user="ben"))
    for give in (
        lambda: users.change_user(ben, "ben", Role.ADMINISTRATOR),
        lambda: users.add_user(ben, "new", Role.ADMINISTRATOR),
        lambda: users.disable_user(ben, "anna"),
        lambda: users.remove_user(ben, "anna"),
        lambda: users.invite_again(ben, "anna"),
        lambda: users.reset_second_factor(ben, "anna"),
        lambda: tokens.add_token(ben, "x", Role.ADMINISTRATOR, days=1),
    ):
        with pytest.raises(OutOfBounds):
            await give()
    # A token that kept more than its user has now, too.
    raised = people.site.backstage.desk(Caller("ben (x)", Role.ADMINISTRATOR, via=Via.TOKEN, user="ben"))
    with pytest.raises(OutOfBounds, match="themselves"):
        await users.change_user(raised, "ben", Role.ADMINISTRATOR)


async def test_whoever_is_bound_to_domains_sees_no_users(people: People) -> None:
    bound = people.site.backstage.desk(Caller("m", Role.ADMINISTRATOR, frozenset({"a.example"}), Via.TOKEN, user="m"))
    for look in (
        lambda: users.list_users(bound),
        lambda: users.add_user(bound, "x", Role.VIEWER),
        lambda: tokens.list_tokens(bound),
    ):
        with pytest.raises(OutOfBounds):
            await look()


@pytest.mark.parametrize(
    "role, domains, wrong",
    [
        (Role.DOMAIN_MANAGER, [], "at least one"),
        (Role.OPERATOR, ["a.example"], "whole gateway"),
        (Role.ADMINISTRATOR, ["a.example"], "whole gateway"),
        (Role.VIEWER, ["no domain"], "no domain"),
    ],
)
async def test_the_domains_of_a_role_are_checked(people: People, role: Role, domains: list[str], wrong: str) -> None:
    with pytest.raises(ActionError, match=wrong):
        await users.add_user(host(people), "ben", role, domains)


async def test_a_role_changes_in_what_runs_already(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.ADMINISTRATOR)
    async with people.in_whole("anna") as anna, people.in_whole("ben") as ben:
        assert (await ben.get("/users")).status_code == 200
        changed = await anna.post("/users/ben/change", data={"role": "viewer", "domains": "a.example"})
        assert changed.headers["location"] == "/users/ben?note=changed"
        assert (await ben.get("/users")).status_code == 403
        assert "a.example" in (await ben.get("/me")).text


async def test_shutting_out_ends_browsers_and_programs(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.OPERATOR)
    async with people.in_whole("anna") as anna, people.in_whole("ben") as ben:
        program = await people.site.program("ben", Role.OPERATOR)
        assert (await program.get("/api/v1/me")).json()["user"] == "ben"
        assert (await anna.post("/users/ben/disable")).status_code == 303
        assert (await ben.get("/me")).status_code == 303
        assert (await program.get("/api/v1/me")).status_code == 401
        await anna.post("/users/ben/enable")
        assert (await program.get("/api/v1/me")).status_code == 200
        await program.aclose()


async def test_a_removed_user_leaves_nothing_but_the_audit(people: People, sqlite: Database) -> None:
    await people.add("anna")
    async with people.in_whole("anna") as anna:
        await people.add("ben", Role.OPERATOR)
        async with people.in_whole("ben") as ben:
            await add_key(ben)
            await people.site.program("ben", Role.OPERATOR)
            await users.invite_again(host(people), "ben")
            assert (await anna.post("/users/ben/remove")).headers["location"] == "/users?note=removed"
            assert (await ben.get("/me")).status_code == 303
        assert (await anna.get("/users/ben")).status_code == 404
    for table in ("sessions", "tokens", "passkeys", "invitations", "users"):
        async with sqlite.reading() as connection:
            column = "name" if table == "users" else "user_name"
            found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {column} = 'ben'")
            assert found.scalar() == 0, table
    assert ("ben", "log-in") in await people.actions()


async def test_an_administrator_takes_a_second_factor_away_for_whoever_lost_it(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.OPERATOR)
    await people.set("ben", totp_secret="JBSWY3DPEHPK3PXP")
    async with people.in_whole("anna") as anna:
        assert (await anna.post("/users/ben/second-factor/reset")).status_code == 303
    async with people.in_whole("ben"):
        pass


async def test_sessions_of_a_user_are_listed_and_ended_by_an_administrator(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.OPERATOR)
    async with people.in_whole("anna") as anna, people.in_whole("ben") as one, people.in_whole("ben") as two:
        ends = re.findall(r'action="(/users/ben/sessions/\w{64}/end)"', (await anna.get("/users/ben")).text)
        assert len(ends) == 2
        await anna.post(ends[0])
        assert sorted([(await one.get("/me")).status_code, (await two.get("/me")).status_code]) == [200, 303]
        await anna.post("/users/ben/sessions/end")
        assert [(await one.get("/me")).status_code, (await two.get("/me")).status_code] == [303, 303]


async def test_a_token_is_shown_once_works_and_is_kept_as_a_digest(people: People, sqlite: Database) -> None:
    await people.add("anna")
    async with people.in_whole() as browser:
        assert "Make a token" in (await browser.get("/me/tokens")).text
        made = await browser.post("/me/tokens", data={"label": "backup", "role": "viewer", "days": "30"})
        found = re.search(r"gp_[\w-]{43}", made.text)
        assert found
        token = found[0]
        listed = (await browser.get("/me")).text
        assert "backup" in listed
        assert token not in listed
        async with people.site.stranger() as program:
            program.headers["Authorization"] = f"Bearer {token}"
            me = (await program.get("/api/v1/me")).json()
            assert (me["name"], me["user"], me["role"]) == ("anna (backup)", "anna", "viewer")
            assert (await program.get("/api/v1/users")).status_code == 403
            people.clock.now += 31 * 86_400
            assert (await program.get("/api/v1/me")).status_code == 401
    async with sqlite.reading() as connection:
        assert token not in str((await connection.execute(select(token_table))).all())


async def test_a_token_has_no_more_than_its_maker_and_ends_within_a_year(people: People) -> None:
    await people.add("m", Role.DOMAIN_MANAGER, ["a.example", "b.example"])
    async with people.in_whole("m") as browser:
        for role, domains in (("administrator", ""), ("operator", ""), ("domain-manager", "c.example")):
            answer = await browser.post("/me/tokens", data={"label": "x", "role": role, "domains": domains})
            assert answer.status_code in {403, 422}, role
        assert (await browser.post("/me/tokens", data={"label": "x", "days": "366"})).status_code == 422
        assert (await browser.post("/me/tokens", data={"label": "x", "domains": "A.example"})).status_code == 200
        # None named: the maker's own, which bound it later, too.
        assert (await browser.post("/me/tokens", data={"label": "y"})).status_code == 200
    found = {token.label: token.domains for token in await tokens.list_tokens(host(people))}
    assert found == {"x": ["a.example"], "y": ["a.example", "b.example"]}


async def test_a_token_that_a_token_makes_ends_with_it(people: People) -> None:
    await people.add("anna")
    program = await people.site.program("anna", Role.ADMINISTRATOR)
    async with program:
        made = (await program.post("/api/v1/tokens", json={"label": "longer", "role": "viewer", "days": 300})).json()
        assert made["ends_at"] <= people.clock.now + 3600
        assert (await program.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204


async def test_tokens_of_others_are_neither_seen_nor_removed(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.OPERATOR)
    anna, ben = await people.site.program("anna", Role.ADMINISTRATOR), await people.site.program("ben", Role.OPERATOR)
    async with anna, ben:
        (own,) = (await anna.get("/api/v1/tokens")).json()
        assert own["user"] == "anna"
        assert (await ben.delete(f"/api/v1/tokens/{own['id']}")).status_code == 404
        assert (await ben.get("/api/v1/tokens?of_all=true")).status_code == 403
        assert len((await anna.get("/api/v1/tokens?of_all=true")).json()) == 2
        assert (await ben.get("/api/v1/sessions?of_all=true")).status_code == 403


async def test_a_program_ends_no_token_that_may_more_than_its_own(people: People) -> None:
    await people.add("m", Role.DOMAIN_MANAGER, ["a.example", "b.example"])
    wide = await people.site.program("m", Role.DOMAIN_MANAGER)
    narrow = await people.site.program("m", Role.DOMAIN_MANAGER, ["a.example"])
    viewer = await people.site.program("m", Role.VIEWER, ["a.example"])
    async with wide, narrow, viewer:
        ids = {(one["role"], str(one["domains"])): one["id"] for one in (await wide.get("/api/v1/tokens")).json()}
        of_wide, of_narrow = ids["domain-manager", "None"], ids["domain-manager", "['a.example']"]
        for program, token, expected in (
            (viewer, of_narrow, 403),
            (narrow, of_wide, 403),
            (wide, of_narrow, 204),
        ):
            assert (await program.delete(f"/api/v1/tokens/{token}")).status_code == expected


async def test_a_program_that_may_less_than_its_user_logs_no_browser_out(people: People) -> None:
    await people.add("anna")
    narrow = await people.site.program("anna", Role.VIEWER)
    whole = await people.site.program("anna", Role.ADMINISTRATOR)
    async with narrow, whole, people.in_whole("anna") as browser:
        (mine,) = (await narrow.get("/api/v1/sessions")).json()
        assert (await narrow.delete(f"/api/v1/sessions/{mine['id']}")).status_code == 403
        assert (await browser.get("/me")).status_code == 200
        assert (await whole.delete(f"/api/v1/sessions/{mine['id']}")).status_code == 204
        assert (await browser.get("/me")).status_code == 303


async def test_a_token_of_another_user_is_made_on_the_consoles_host_alone(people: People) -> None:
    await people.add("anna")
    await people.add("ben", Role.OPERATOR)
    async with await people.site.program("anna", Role.ADMINISTRATOR) as program:
        wanted = {"label": "x", "role": "viewer", "days": 1}
        assert (await program.post("/api/v1/tokens", json=wanted | {"user": "ben"})).status_code == 403
        assert (await program.post("/api/v1/tokens", json=wanted | {"user": "Anna"})).status_code == 201
    assert [one.user for one in await tokens.list_tokens(host(people), "ben")] == []


async def test_the_api_does_with_users_what_the_pages_do(people: People) -> None:
    await people.add("anna")
    program = await people.site.program("anna", Role.ADMINISTRATOR)
    async with program:
        made = await program.post("/api/v1/users", json={"name": "ben", "role": "operator"})
        assert made.status_code == 201
        assert made.json()["link"].startswith(f"{URL}/invited/")
        assert (await program.post("/api/v1/users", json={"name": "ben", "role": "operator"})).status_code == 409
        changed = await program.put("/api/v1/users/ben/rights", json={"role": "viewer", "domains": ["a.example"]})
        assert (changed.json()["role"], changed.json()["domains"]) == ("viewer", ["a.example"])
        assert (await program.post("/api/v1/users/ben/disable")).json()["disabled"] is True
        assert (await program.post("/api/v1/users/ben/enable")).json()["disabled"] is False
        assert (await program.post("/api/v1/users/ben/invitation")).status_code == 201
        assert (await program.delete("/api/v1/users/ben/second-factor")).status_code == 200
        assert (await program.delete("/api/v1/users/ben/sessions")).json() == {"ended": 0}
        assert [user["name"] for user in (await program.get("/api/v1/users")).json()] == ["anna", "ben"]
        assert (await program.delete("/api/v1/users/ben")).status_code == 204
        assert (await program.get("/api/v1/users/ben")).status_code == 404
        assert (await program.get("/api/v1/sessions")).json() == []
        assert (await program.get("/api/v1/sessions?user=Anna")).json() == []
        refused = await program.delete("/api/v1/users/anna")
        assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")


async def test_the_command_on_the_consoles_own_host_needs_no_token(people: People) -> None:
    api = create_api(people.site.backstage, on_this_host("root"))
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        assert (await client.get("/api/v1/me")).json()["via"] == "host"
        assert (await client.post("/api/v1/users", json={"name": "ben", "role": "viewer"})).status_code == 201
        new = {"label": "x", "role": "viewer", "user": "ben"}
        assert (await client.post("/api/v1/tokens", json=new)).status_code == 201
        more = {"label": "x", "role": "operator", "user": "ben"}
        assert (await client.post("/api/v1/tokens", json=more)).status_code == 403


async def test_the_pages_about_users_show_text_of_strangers_as_text(people: People) -> None:
    await people.add("anna")
    async with people.site.stranger() as browser:
        browser.headers["User-Agent"] = "<script>alert(1)</script>\u202e".encode().decode("latin1")
        await log_in(browser, "anna", PASSWORD)
        await take_csrf(browser, "/me")
        for path in ("/me", "/users", "/users/anna", "/audit"):
            page = (await browser.get(path)).text
            assert "<script>alert" not in page, path
            assert "\u202e" not in page, path
        assert "&lt;script&gt;" in (await browser.get("/me")).text
