"""The domains' pages and API, on a real broker where something is changed."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, select

from services.console.actions.domains import CHECKED
from services.console.actions.policies import active_policy, apply_policy
from services.console.database import Database
from services.console.identity.rights import Role, on_this_host
from services.console.tables import audit, dkim_keys, hops
from services.console.web.backstage import Backstage
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from tests.integration.console.site import Site
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit

DOCUMENT = """
# ours
[domains."one.test"]
route = [{to = "smtp://a.test:25", priority = 1, weight = 2}, {to = "smtp://b.test:25", priority = 1}]
recipients = ["anna", "ben"]  # people
aliases = {info = "anna"}
[domains."two.test"]
route = "smtp://secret.test:25"
recipients = "any"
[domains."three.test"]
same_as = "two.test"
route = "mx"
recipients = "any"
"""


@pytest.fixture
async def site(rabbit: Rabbit, sqlite: Database, tmp_path: Path) -> AsyncIterator[Site]:
    """A site on a gateway with a policy."""
    settings = settings_for(sqlite, tmp_path, rabbit.settings("console"))
    link = Link(settings.broker, "test")
    link.start()
    made = Site(Backstage(settings, sqlite, Publisher(link)))
    await apply_policy(made.backstage.desk(on_this_host("test")), DOCUMENT, "the first one")
    yield made
    await link.close()


async def document(site: Site) -> str:
    entry = await active_policy(site.backstage.desk(on_this_host("test")))
    assert entry is not None
    return entry.text


async def patch(client: httpx.AsyncClient, domain: str, *changes: tuple[list[str], object]) -> httpx.Response:
    body = {"changes": [{"path": path, "value": value} for path, value in changes], "reason": "asked for"}
    return await client.patch(f"/api/v1/domains/{domain}", json=body)


async def test_the_list_says_how_routes_keys_and_the_last_check_are(site: Site) -> None:
    now = time.time()
    async with site.backstage.database.writing() as connection:
        hop = {"hop": "smtp://a.test:25", "host": "d1", "state": "shut", "cause": "refused", "until": None, "at": now}
        await connection.execute(insert(hops), [hop])
        found = {"wrong": 2, "ok": 1}
        desk = site.backstage.desk(on_this_host("test"))
        await desk.note(connection, CHECKED, "one.test", **found)
    async with site.browser() as browser, site.api() as program:
        page = (await browser.get("/domains")).text
        assert all(text in page for text in ("one.test", "shut", "not signed", "2 wrong", "never"))
        first = (await program.get("/api/v1/domains")).json()[0]
        assert (first["domain"], first["states"], first["recipients"]) == ("one.test", ["shut"], 2)
        assert first["checked"]["counts"] == found
        shown = (await browser.get("/domains/one.test")).text
        assert "refused" in shown
        assert "2 listed recipients" in shown


async def test_a_change_is_shown_before_it_is_made_and_comments_stay(site: Site) -> None:
    form = {
        "kind": "list",
        "listed": "anna\r\nben\r\ncarla",
        "aliases": "info: anna carla\r\nanna.b: anna",
        "subaddress": "+",
        "reason": "a newcomer",
        "based_on": "1",
    }
    async with site.browser() as browser:
        seen = await browser.post("/domains/one.test/people", data=form | {"step": "preview"})
        assert seen.status_code == 200
        assert "What this would change" in seen.text
        assert await document(site) == DOCUMENT
        done = await browser.post("/domains/one.test/people", data=form)
        assert done.headers["location"] == "/domains/one.test?note=changed"
        text = await document(site)
        assert all(part in text for part in ('"carla"]', "# people", "# ours", 'info = ["anna", "carla"]', '"anna.b"'))
        again = await browser.post("/domains/one.test/people", data=form)
        assert again.headers["location"] == "/domains/one.test?note=same"
        stale = await browser.post("/domains/one.test/people", data=form | {"subaddress": "-"})
        assert stale.status_code == 409
        assert "look again" in stale.text


async def test_routes_size_and_thresholds_are_changed_together(site: Site) -> None:
    form = {
        "routes": "smtp://a.test:25 priority=1 weight=2\nsmtp://b.test:25 priority=2",
        "size_bytes": "70000",
        "more": "checks.antispam.refuse_at = 12.0",
        "reason": "asked for",
        "based_on": "1",
    }
    async with site.browser() as browser:
        wrong = await browser.post("/domains/one.test/ways", data=form | {"more": "chekcs.spf = 1"})
        assert wrong.status_code == 422
        assert "chekcs" in wrong.text
        wrong = await browser.post("/domains/one.test/ways", data=form | {"reason": " "})
        assert wrong.status_code == 422
        refused = await browser.post("/domains/one.test/ways", data=form)
        # The weight of one route alone has no effect.
        assert refused.status_code == 422
        form["routes"] = form["routes"].replace(" weight=2", "")
        assert (await browser.post("/domains/one.test/ways", data=form)).status_code == 303
        shown = (await browser.get("/domains/one.test")).text
        assert "checks.antispam.refuse_at = 12.0" in shown
        form["more"] = ""
        assert (await browser.post("/domains/one.test/ways", data=form | {"based_on": "2"})).status_code == 303
        assert "refuse_at" not in await document(site)


async def test_a_domain_is_added_and_removed(site: Site) -> None:
    async with site.browser() as browser, site.api() as program:
        form = {"domain": "NEW.test", "routes": "mx", "kind": "list", "listed": "eva", "reason": "a customer"}
        assert (await browser.post("/domains/new", data=form)).headers["location"].startswith("/domains/new.test")
        again = await browser.post("/domains/new", data=form)
        assert (again.status_code, "already" in again.text) == (409, True)
        gone = await program.delete("/api/v1/domains/new.test", params={"reason": "gone"})
        assert gone.json()["version"] == 3
        assert (await program.get("/api/v1/domains/new.test")).status_code == 404
        more = {"domain": "x.test", "keys": {"route": "mx", "recipients": ["a"]}, "reason": "again"}
        assert (await program.post("/api/v1/domains", json=more)).status_code == 201


async def test_a_domain_manager_changes_people_of_his_domains_alone(site: Site) -> None:
    async with site.api(Role.DOMAIN_MANAGER, ["one.test"]) as program:
        assert [one["domain"] for one in (await program.get("/api/v1/domains")).json()] == ["one.test"]
        assert (await program.get("/api/v1/domains/two.test")).status_code == 403
        assert (await patch(program, "two.test", (["recipients"], ["x"]))).status_code == 403
        for path, value in ((["route"], "mx"), (["checks", "spf", "fail"], "refuse"), (["size_bytes"], 99_999)):
            refused = await patch(program, "one.test", (path, value))
            assert refused.status_code == 403, path
        assert (await patch(program, "one.test", (["recipients"], ["anna"]))).status_code == 200
        for removing in (await program.delete("/api/v1/domains/one.test", params={"reason": "x"}),):
            assert removing.status_code == 403
    async with site.browser(Role.DOMAIN_MANAGER, ["one.test"]) as browser:
        page = (await browser.get("/domains/one.test")).text
        assert "Routes and rules" not in page
        assert (await browser.post("/domains/one.test/ways", data={"routes": "mx", "reason": "x"})).status_code == 403


async def test_a_domain_manager_sends_nothing_out_by_an_alias(site: Site) -> None:
    async with site.api(Role.DOMAIN_MANAGER, ["one.test"]) as program:
        for target in ("eve@elsewhere.example", "eve@two.test", ["anna", "eve@elsewhere.example"]):
            refused = await patch(program, "one.test", (["aliases", "info"], target))
            assert (refused.status_code, "none of your domains" in refused.text) == (403, True)
        caught = await patch(program, "one.test", (["catch_all"], "eve@elsewhere.example"))
        assert caught.status_code == 403
        assert (await patch(program, "one.test", (["aliases", "sales"], ["ben", "anna@one.test"]))).status_code == 200
    async with site.api() as administrator:
        done = await patch(administrator, "one.test", (["aliases", "far"], "eve@elsewhere.example"))
        assert done.status_code == 200, done.text
    async with site.api(Role.DOMAIN_MANAGER, ["one.test"]) as program:
        # What an administrator set up stays, and hinders nobody.
        assert (await patch(program, "one.test", (["subaddress"], "+"))).status_code == 200


async def test_a_domain_that_others_follow_is_not_changed_by_its_manager(site: Site) -> None:
    async with site.api(Role.DOMAIN_MANAGER, ["two.test"]) as program:
        refused = await patch(program, "two.test", (["subaddress"], "+"))
        assert (refused.status_code, "three.test" in refused.text) == (403, False)
    async with site.api(Role.DOMAIN_MANAGER, ["two.test", "three.test"]) as program:
        assert (await patch(program, "two.test", (["subaddress"], "+"))).status_code == 200


async def test_a_manager_is_shown_no_line_of_another_domain(site: Site) -> None:
    async with site.api(Role.DOMAIN_MANAGER, ["one.test"]) as program:
        body = {"changes": [{"path": ["aliases", "sales"], "value": "ben"}], "reason": "x", "preview": True}
        seen = (await program.patch("/api/v1/domains/one.test", json=body)).json()
        assert "sales" in seen["diff"]
        assert "secret.test" not in seen["diff"]
        done = await program.patch("/api/v1/domains/one.test", json=body | {"preview": False})
        assert "secret.test" not in done.text


async def test_a_viewer_sees_counts_and_no_people(site: Site) -> None:
    async with site.api(Role.VIEWER) as program, site.browser(Role.VIEWER) as browser:
        told = (await program.get("/api/v1/domains/one.test")).json()
        assert told["table"] is None
        assert "anna" not in json.dumps(told)
        assert "anna" not in (await browser.get("/domains/one.test")).text
        assert (await patch(program, "one.test", (["recipients"], ["x"]))).status_code == 403


@pytest.mark.usefixtures("nobody_on_the_routes")
async def test_a_check_runs_behind_the_page_and_is_noted(site: Site) -> None:
    async with site.browser() as browser:
        begun = await browser.post("/domains/one.test/check")
        assert begun.headers["location"] == "/domains/one.test/check"
        async with asyncio.timeout(90):
            while 'hx-trigger="every' in (page := (await browser.get("/domains/one.test/check?part=x")).text):
                await asyncio.sleep(0.2)
        assert "What to do" in page
        assert "DKIM" in page
        assert (await browser.post("/domains/nowhere.test/check")).status_code == 404
    async with site.backstage.database.reading() as connection:
        rows = (await connection.execute(select(audit.c.target).where(audit.c.action == CHECKED))).scalars().all()
    assert rows == ["one.test"]


async def test_keys_are_made_shown_to_be_copied_and_not_switched_without_dns(site: Site) -> None:
    async with site.browser() as browser, site.api() as program:
        assert "not signed" in (await browser.get("/domains/one.test/dkim")).text
        made = await browser.post("/domains/one.test/dkim/add")
        assert made.headers["location"] == "/domains/one.test/dkim?note=made"
        page = (await browser.get("/domains/one.test/dkim")).text
        assert page.count("v=DKIM1") == 2
        assert page.count('data-copy="#r-') == 2
        assert "PRIVATE" not in page
        assert "PRIVATE" not in (await program.get("/api/v1/dkim")).text
        refused = await browser.post("/domains/one.test/dkim/switch", data={"days": "7"})
        assert (refused.status_code, "nothing is switched" in refused.text) == (409, True)
        gone = await browser.post("/domains/one.test/dkim/retire", data={"pending": "true"})
        assert gone.headers["location"] == "/domains/one.test/dkim?note=forgotten"
    async with site.backstage.database.reading() as connection:
        assert (await connection.execute(select(dkim_keys))).all() == []


async def test_keys_are_for_who_may_change_the_policy_and_seen_by_whose_domain_it_is(site: Site) -> None:
    async with site.api() as administrator:
        assert (await administrator.post("/api/v1/domains/two.test/dkim", json={})).status_code == 201
    async with site.api(Role.DOMAIN_MANAGER, ["one.test"]) as program:
        assert (await program.get("/api/v1/dkim")).json() == []
        assert (await program.get("/api/v1/domains/two.test/dkim")).status_code == 403
        assert (await program.get("/api/v1/domains/one.test/dkim")).json() == []
        assert (await program.post("/api/v1/domains/one.test/dkim", json={})).status_code == 403


async def test_what_strangers_wrote_is_text(site: Site) -> None:
    async with site.backstage.database.writing() as connection:
        cause = "<script>alert(1)</script>"
        row = {"hop": "smtp://a.test:25", "host": "d1", "state": "shut", "cause": cause, "until": None, "at": 1.0}
        await connection.execute(insert(hops), [row])
    async with site.browser() as browser:
        page = (await browser.get("/domains/one.test")).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


async def test_a_form_s_change_goes_back_unless_it_is_confirmed(site: Site) -> None:
    people = {"kind": "list", "listed": "anna\nnew", "aliases": "info: anna", "reason": "try", "keep": "ask"}
    ways = {"routes": "smtp://c.test:25", "reason": "moved", "keep": "ask", "minutes": "1"}
    async with site.browser() as browser:
        page = await browser.get("/domains/one.test")
        assert page.text.count('name="minutes"') == 3, "people, routes and rules, removal"
        done = await browser.post("/domains/one.test/people", data=people | {"minutes": "5"})
        assert done.headers["location"] == "/domains/one.test?note=waits"
        waits = (await browser.get(done.headers["location"])).text
        assert "waits for its confirmation" in waits
        assert "Confirm: it stays" in waits
        again = await browser.post("/domains/one.test/ways", data=ways)
        assert again.status_code == 409, "nothing else is changed meanwhile"
        assert "confirm it or take it back first" in again.text
        version = re.findall(r'name="version" value="(\d+)"', waits)[0]
        assert (await browser.post("/policy/take-back", data={"version": version})).status_code == 303
        assert "new" not in await document(site)

        assert (await browser.post("/domains/one.test/ways", data=ways)).headers["location"].endswith("note=waits")
        entry = await active_policy(site.backstage.desk(on_this_host("test")))
        assert entry is not None
        assert entry.confirm_by == pytest.approx(entry.at + 60, abs=2)
        await browser.post("/policy/confirm", data={"version": str(entry.version)})
        assert "c.test" in await document(site)

        removed = await browser.post("/domains/three.test/remove", data={"reason": "gone", "keep": "ask"})
        assert removed.headers["location"] == "/domains?note=waits"
        assert "waits for its confirmation" in (await browser.get("/domains?note=waits")).text
        too_long = await browser.post("/domains/one.test/people", data=people | {"minutes": "61"})
        assert too_long.status_code == 422


async def test_who_could_not_confirm_a_change_makes_none_that_waits(site: Site) -> None:
    body = {"changes": [{"path": ["recipients"], "value": ["anna"]}], "reason": "asked for", "confirm_within_s": 60}
    async with site.api(Role.DOMAIN_MANAGER, ["one.test"]) as program:
        answer = await program.patch("/api/v1/domains/one.test", json=body)
        assert answer.status_code == 403
        assert "you could not confirm it" in answer.json()["detail"]
    async with site.browser(Role.DOMAIN_MANAGER, ["one.test"]) as browser:
        assert 'name="minutes"' not in (await browser.get("/domains/one.test")).text
    async with site.api() as program:
        assert (await program.patch("/api/v1/domains/one.test", json=body)).status_code == 200
    entry = await active_policy(site.backstage.desk(on_this_host("test")))
    assert entry is not None
    assert entry.confirm_by is not None
