"""Messages: found by a form, told as a story, in pages, API and command."""

import html
import json
from pathlib import Path

import pytest

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.web.backstage import Backstage
from shared.event import EventKind, Stage
from tests.integration.console.command import Gatepost
from tests.integration.console.mail import delivered_story, event
from tests.integration.console.site import Site
from tests.integration.console.told import DAY, id_at, mail, write
from tests.integration.console.web_settings import settings_for

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202egnp.exe"


@pytest.fixture
def site(sqlite: Database, tmp_path: Path) -> Site:
    return Site(Backstage(settings_for(sqlite, tmp_path), sqlite))


async def test_an_empty_console_says_that_no_mail_has_come(site: Site) -> None:
    async with site.browser(Role.VIEWER) as browser:
        page = await browser.get("/messages")
    assert page.status_code == 200
    assert "No mail has come yet" in page.text


async def test_an_id_in_the_search_box_goes_straight_to_its_story(site: Site, sqlite: Database) -> None:
    name = id_at(DAY)
    await write(sqlite, delivered_story(name, DAY))
    async with site.browser(Role.VIEWER) as browser:
        for typed in (name, f"[{name.upper()}]", f" {name} "):
            answer = await browser.get("/messages", params={"q": typed})
            assert (answer.status_code, answer.headers["Location"]) == (303, f"/messages/{name}")
        unknown = await browser.get("/messages", params={"q": id_at(DAY + 1)})
        assert "Nothing is known of" in unknown.text
        missing = await browser.get(f"/messages/{id_at(DAY + 1)}")
        assert missing.status_code == 404
        assert (await browser.get("/messages/rubbish")).status_code == 422


async def test_the_form_finds_by_every_field_and_says_when_nothing_fits(site: Site, sqlite: Database) -> None:
    await write(sqlite, mail(DAY, "a@x.example", "b@gate.example", subject="Invoice 7"))
    name = id_at(DAY)
    async with site.browser() as browser:
        for fields in (
            {"q": "invoice"},
            {"address": "b@gate.example"},
            {"domain": "x.example"},
            {"ip": "192.0.2.7"},
            {"subject": "invoice"},
            {"outcome": "received"},
            {"listener": "mx"},
            {"since": "2026-01-01", "until": "2026-12-01"},
        ):
            assert f"/messages/{name}" in (await browser.get("/messages", params=fields)).text, fields
        for fields in ({"q": "bill"}, {"since": "2027-01-01"}, {"outcome": "failed"}):
            page = (await browser.get("/messages", params=fields)).text
            assert ("Nothing fits" in page, name in page) == (True, False), fields
        for fields in ({"q": "?"}, {"since": "soon"}, {"outcome": "lost"}, {"ip": "x"}):
            assert (await browser.get("/messages", params=fields)).status_code == 422, fields


async def test_a_story_tells_each_stage_what_decided_and_what_the_hop_said(site: Site, sqlite: Database) -> None:
    name = id_at(DAY)
    await write(sqlite, delivered_story(name, DAY))
    async with site.browser(Role.VIEWER) as browser:
        page = html.unescape((await browser.get(f"/messages/{name}")).text)
    for said in ("In short", "Delivered: smtp://192.0.2.25:25", "antivirus: clean", "250 2.0.0 Ok: 77", "dmarc"):
        assert said in page
    assert page.index("came from") < page.index("Policy version 3") < page.index("Delivered to smtp")
    assert "<details>" in page


async def test_a_refused_session_has_a_story(site: Site, sqlite: Database) -> None:
    name = id_at(DAY)
    refused = event(name, Stage.EDGE, EventKind.SESSION_REFUSED, DAY, client="203.0.113.9", listener="mx",
                    reply=f"554 5.7.1 no [{name}]", reason="banned")  # fmt: skip
    await write(sqlite, [refused])
    async with site.browser(Role.VIEWER) as browser:
        page = (await browser.get(f"/messages/{name}")).text
        assert "203.0.113.9" in page
        assert "Refused for good" in page
        assert f"/messages/{name}" in (await browser.get("/messages?q=203.0.113.9")).text


async def test_a_family_is_shown_with_links_to_what_waits(site: Site, sqlite: Database) -> None:
    story, part = mail(DAY, "a@x.example", "b@one.example", "c@two.example"), id_at(DAY + 1, 1)
    into = [{"id": part, "hop": "smtp://one:25", "recipients": ["b@one.example"]}]
    await write(sqlite, [*story, event(story[0].id, Stage.DELIVERY, EventKind.SPLIT, DAY + 1, into=into)])
    async with site.browser(Role.VIEWER) as browser:
        page = (await browser.get(f"/messages/{story[0].id}")).text
    assert f"/messages/{part}" in page
    assert "/queues/destination?hop=smtp%3A//one%3A25" in page


async def test_what_strangers_wrote_is_text(site: Site, sqlite: Database) -> None:
    name = id_at(DAY)
    story = mail(DAY, f"a@{HOSTILE}", HOSTILE, subject=HOSTILE, client=HOSTILE, helo=HOSTILE, listener=HOSTILE)
    reply = {"hop": HOSTILE, "reply": HOSTILE, "recipients": [HOSTILE]}
    await write(sqlite, [*story, event(name, Stage.DELIVERY, EventKind.DELIVERED, DAY + 1, **reply)])
    async with site.browser() as browser:
        for path in (f"/messages/{name}", "/messages", f"/messages?q={HOSTILE[:20]}aa"):
            page = (await browser.get(path)).text
            assert "<script>alert" not in page
            assert "<img src=x" not in page
            assert "\u202e" not in page


async def test_a_manager_sees_what_is_of_the_domains_alone(site: Site, sqlite: Database) -> None:
    ours, theirs = (
        mail(DAY, "a@x.example", "b@one.example", "c@two.example"),
        mail(DAY + 1, "a@x.example", "d@two.example"),
    )
    await write(sqlite, ours, theirs)
    async with site.browser(Role.DOMAIN_MANAGER, ["one.example"]) as browser:
        page = (await browser.get("/messages")).text
        assert ("b@one.example" in page, "two.example" in page, "1 not of your domains" in page) == (True, False, True)
        assert (await browser.get(f"/messages/{theirs[0].id}")).status_code == 403
        story = (await browser.get(f"/messages/{ours[0].id}")).text
        assert ("two.example" in story, "left out here" in story) == (False, True)
    async with site.api(Role.DOMAIN_MANAGER, ["one.example"]) as program:
        found = (await program.get("/api/v1/messages")).json()["items"]
        assert [(one["id"], one["recipients"], one["not_shown"]) for one in found] == [(ours[0].id, "b@one.example", 1)]
        assert (await program.get(f"/api/v1/messages/{theirs[0].id}")).status_code == 403
        assert "two.example" not in (await program.get(f"/api/v1/messages/{ours[0].id}")).text


async def test_the_api_finds_in_pages_and_tells_stories(site: Site, sqlite: Database) -> None:
    await write(sqlite, *(mail(DAY + place, "a@x.example", "b@y.example") for place in range(5)))
    async with site.api(Role.VIEWER) as program:
        first = (await program.get("/api/v1/messages", params={"domain": "y.example", "limit": 3})).json()
        rest = (await program.get("/api/v1/messages", params={"domain": "y.example", "cursor": first["next"]})).json()
        assert [one["id"] for one in first["items"] + rest["items"]] == [
            id_at(DAY + place) for place in (4, 3, 2, 1, 0)
        ]
        assert rest["next"] is None
        story = (await program.get(f"/api/v1/messages/{id_at(DAY)}")).json()
        assert story["steps"][0]["kind"] == "received"
        assert story["events"][0]["facts"]["sender"] == "a@x.example"
        assert (await program.get("/api/v1/messages", params={"outcome": "lost"})).status_code == 422
        assert (await program.get("/api/v1/messages/rubbish")).status_code == 422
        assert (await program.get(f"/api/v1/messages/{id_at(DAY + 77)}")).status_code == 404
        assert (await program.get("/api/v1/messages", params={"cursor": "W10"})).status_code == 409


def test_the_command_finds_and_goes_on(gatepost: Gatepost) -> None:
    stories = [mail(DAY + place, "a@x.example", "b@y.example", subject=f"Invoice {HOSTILE}") for place in range(3)]
    gatepost.write([one for story in stories for one in story])
    found = gatepost("find", "invoice", "@y.example", "--limit", "2")
    assert found.exit_code == 0
    assert (id_at(DAY + 2) in found.output, id_at(DAY) in found.output, "--cursor" in found.output) == (
        True,
        False,
        True,
    )
    assert "\u202e" not in found.output
    page = json.loads(gatepost("find", "--json", "--limit", "2").output)
    rest = json.loads(gatepost("find", "--json", "--cursor", page["next"]).output)
    assert [one["id"] for one in rest["items"]] == [id_at(DAY)]
    assert "Nothing fits" in gatepost("find", "bill").output
    assert gatepost("find", "--outcome", "lost").exit_code == 1
    assert gatepost("find", "--since", "soon").exit_code == 2
