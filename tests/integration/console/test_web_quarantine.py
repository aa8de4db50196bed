"""The quarantine by page and API: who sees and decides what, hostile mail as text, many at once."""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from services.console.actions import quarantine
from services.console.actions.desk import Desk
from services.console.actions.policies import apply_policy, policy_version
from services.console.database import Database
from services.console.identity.rights import Role, on_this_host
from services.console.tables import events
from services.console.web.backstage import Backstage
from services.console.web.errands import Errands
from services.console.web.who import CSRF_HEADER
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import Queue
from shared.policy import parse_policy
from shared.wire import QuarantineNote, read_envelope
from tests.integration.console.quarantined import hold, noted, state_of
from tests.integration.console.site import Site
from tests.integration.console.test_dmarc_reports import taken
from tests.integration.console.test_recorder import waiting
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit

HOSTILE = (
    b"From: <script>alert(1)</script> <m@example.org>\r\n"
    b"Subject: <img src=x onerror=alert(2)>\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\n</pre><script>alert(3)</script>\x1b[31m\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n"
    b'<p>Hi <a href="javascript:alert(4)">you</a><img src=http://t.example/pixel></p>\r\n'
    b"--b\r\nContent-Type: application/x-<b>\r\n"
    b'Content-Disposition: attachment; filename="<svg onload=alert(5)>.exe"\r\n\r\nMZ\r\n--b--\r\n'
)
OURS = ("demo@gatepost.test",)


@pytest.fixture
def site(sqlite: Database, tmp_path: Path) -> Site:
    return Site(Backstage(settings_for(sqlite, tmp_path), sqlite))


@pytest.fixture
async def busy(sqlite: Database, tmp_path: Path, rabbit: Rabbit) -> AsyncIterator[Site]:
    """A site with a way to the broker."""
    broker = rabbit.settings("console")
    link = Link(broker, "test-web")
    link.start()
    yield Site(Backstage(settings_for(sqlite, tmp_path, broker), sqlite, Publisher(link)))
    await link.close()


def csrf(client: httpx.AsyncClient) -> dict[str, str]:
    return {"csrf": client.headers[CSRF_HEADER]}


def path_of(copy: tuple[str, str]) -> str:
    return f"/quarantine/{copy[0]}/{copy[1]}"


async def test_hostile_mail_shows_as_text(site: Site, sqlite: Database) -> None:
    copy = await hold(sqlite, message=HOSTILE)
    async with site.browser() as browser:
        for path in (path_of(copy), "/quarantine"):
            page = (await browser.get(path)).text
            assert not re.search(r"<(script>|img src=x|svg onload|b>|pixel)", page), path
            assert "javascript:" not in "".join(re.findall(r'(?:href|src|action)="([^"]*)"', page))
            assert "\x1b" not in page
        page = (await browser.get(path_of(copy))).text
    for shown in (
        "&lt;/pre&gt;&lt;script&gt;alert(3)&lt;/script&gt;\\u001b[31m",
        "[link: javascript:alert(4)] you",
        "[img: http://t.example/pixel]",
        "&lt;svg onload=alert(5)&gt;.exe",
        "Held by the check antispam",
        "Authentication results on receipt: gate.gatepost.test; spf=pass",
    ):
        assert shown in page, shown


async def test_the_viewer_sees_that_and_why_but_not_the_text(site: Site, sqlite: Database) -> None:
    copy = await hold(sqlite)
    async with site.browser(Role.VIEWER) as browser:
        page = (await browser.get(path_of(copy))).text
        assert "Held by the check antispam" in page
        assert "red" not in page.partition("<main")[2].replace("Received", "").replace("shared", "")
        assert "/release" not in page
        assert (await browser.get(f"{path_of(copy)}/raw")).status_code == 403
        assert (await browser.post(f"{path_of(copy)}/delete", data=csrf(browser))).status_code == 403
    async with site.api(Role.VIEWER) as program:
        assert (await program.get(f"/api/v1/quarantine/{copy[0]}")).status_code == 200
        assert (await program.get(f"/api/v1/quarantine/{copy[0]}/text")).status_code == 403


async def test_a_download_is_bytes_and_stands_in_the_audit(site: Site, sqlite: Database) -> None:
    copy = await hold(sqlite, message=HOSTILE)
    async with site.browser(Role.OPERATOR) as browser:
        answer = await browser.get(f"{path_of(copy)}/raw")
    assert (answer.content, answer.headers["content-type"]) == (HOSTILE, "application/octet-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'attachment; filename="{copy[0]}-{copy[1]}.eml"'
    [row] = await noted(sqlite, "quarantine download")
    assert row["target"] == copy[0]


async def test_a_domain_manager_sees_and_decides_only_what_is_theirs(site: Site, database: Database) -> None:
    site = Site(Backstage(site.backstage.settings, database))
    mine = await hold(database, "a@mine.test")
    both = await hold(database, "a@mine.test", "secret@other.test")
    others = await hold(database, "b@other.test")
    sent = await hold(database, "x@elsewhere.test", outbound_of="a@mine.test")
    received = await hold(database, "b@other.test", sender="a@mine.test")
    odd = await hold(database, '"a@mine.test"@other.test')
    async with site.browser(Role.DOMAIN_MANAGER, ["mine.test"]) as browser:
        page = (await browser.get("/quarantine")).text
        shown = {copy for copy in (mine, both, others, sent, received, odd) if path_of(copy) in page}
        assert shown == {mine, both, sent}
        assert "secret@other.test" not in page
        assert path_of(both) not in (await browser.get("/quarantine?recipient=secret")).text
        both_page = (await browser.get(path_of(both))).text
        assert "secret@other.test" not in both_page
        assert "an administrator decides about it" in both_page
        for copy, expected in ((mine, 303), (both, 403), (others, 403), (sent, 303), (received, 403), (odd, 403)):
            answer = await browser.post(f"{path_of(copy)}/delete", data=csrf(browser))
            assert answer.status_code == expected, copy
        for copy in (others, received, odd):
            for path in (path_of(copy), f"{path_of(copy)}/raw"):
                assert (await browser.get(path)).status_code == 403
    assert [row["target"] for row in await noted(database, "quarantine delete")] == [mine[0], sent[0]]


async def test_what_has_no_readable_envelope_is_for_who_sees_all(site: Site, sqlite: Database) -> None:
    async with site.browser(Role.DOMAIN_MANAGER, []) as browser:
        copy = await hold(sqlite)
        assert "Nothing is held" in (await browser.get("/quarantine")).text
        assert (await browser.get(path_of(copy))).status_code == 403


async def test_the_list_goes_on_behind_its_cursor_without_missing_or_repeating(site: Site, database: Database) -> None:
    site = Site(Backstage(site.backstage.settings, database))
    made = {await hold(database, *OURS, at=1_800_000_000.0 + number // 3) for number in range(11)}
    async with site.api() as program:
        seen: list[tuple[str, str]] = []
        cursor = ""
        while cursor is not None:
            page = (await program.get("/api/v1/quarantine", params={"limit": 4, "cursor": cursor})).json()
            seen += [(item["id"], item["part"]) for item in page["items"]]
            cursor = page["next"]
    assert (len(seen), set(seen)) == (11, made)
    assert "message" not in page["items"][0]


async def test_the_list_can_be_narrowed(site: Site, sqlite: Database) -> None:
    spam = await hold(sqlite, "anna@gatepost.test")
    virus = await hold(sqlite, note=QuarantineNote("undeliverable", "x"), at=1_800_100_000.0, verdict=None)
    async with site.browser() as browser:
        for query, expected in (
            ("", {spam, virus}),
            ("rule=antispam", {spam}),
            ("rule=antispam.quarantine_at", {spam}),
            ("rule=checks.antispam.quarantine_at", {spam}),
            ("rule=spf", set()),
            ("why=undeliverable", {virus}),
            ("sender=M@EXAMPLE", {spam, virus}),
            ("recipient=anna", {spam}),
            ("subject=gr%C3%BC", {spam, virus}),
            ("subject=%25", set()),
            ("since=2027-01-16", {virus}),
            ("until=2027-01-16", {spam}),
            ("state=released", set()),
        ):
            page = (await browser.get(f"/quarantine?{query}")).text
            assert {copy for copy in (spam, virus) if path_of(copy) in page} == expected, query
        assert (await browser.get("/quarantine?since=soon")).status_code == 422
        assert (await browser.get("/quarantine?state=lost")).status_code == 422
        assert (await browser.get("/quarantine?cursor=rubbish")).status_code == 409


async def test_a_mail_is_released_with_a_reason(busy: Site, sqlite: Database, rabbit: Rabbit) -> None:
    copy = await hold(sqlite)
    async with busy.browser(Role.OPERATOR) as browser:
        answer = await browser.post(f"{path_of(copy)}/release", data=csrf(browser) | {"reason": "wanted"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path_of(copy)}?note=released")
        assert "on its way" in (await browser.get(answer.headers["location"])).text
        again = await browser.post(f"{path_of(copy)}/release", data=csrf(browser))
        assert (again.status_code, "was released before" in again.text) == (409, True)
    kind, headers, _ = await taken(rabbit)
    assert read_envelope(kind, headers).id == copy[0]
    [row] = await noted(sqlite, "quarantine release")
    assert json.loads(str(row["details"]))["reason"] == "wanted"


async def test_a_release_is_of_the_time_before_delivery_can_have_the_mail(
    busy: Site, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a mail that is delivered at once would stand in the lists as released for ever.
    gone: list[float] = []

    async def send_noting(*arguments: object, **wishes: object) -> None:
        gone.append(time.time())

    monkeypatch.setattr(quarantine, "_send", send_noting)
    copy = await hold(sqlite, *OURS)
    async with busy.browser(Role.OPERATOR) as browser:
        await browser.post(f"{path_of(copy)}/release", data=csrf(browser) | {"reason": "wanted"})
    async with sqlite.reading() as connection:
        told = await connection.scalar(select(events.c.at).where(events.c.id == copy[0], events.c.kind == "released"))
    assert told is not None
    assert told <= gone[0]


async def test_a_bulk_run_does_what_it_can_and_says_what_failed(busy: Site, sqlite: Database, rabbit: Rabbit) -> None:
    good = [await hold(sqlite) for _ in range(3)]
    bad = await hold(sqlite, verdict=None, note=QuarantineNote("poison", "content died of it"))
    ticked = [f"{message_id}/{part}" for message_id, part in [*good, bad]]
    async with busy.browser() as browser:
        data = csrf(browser) | {"deed": "release", "reason": "all known"}
        answer = await browser.post("/quarantine/bulk", data=data | {"mail": ticked})
        assert answer.status_code == 303
        watched = answer.headers["location"]
        errands = browser._transport.app._app.state.errands  # type: ignore[attr-defined]
        assert isinstance(errands, Errands)
        await errands.wait()
        page = (await browser.get(watched)).text
        assert "3 of 4 done. 1 failed." in page
        assert "was never examined" in page
        assert f'name="mail" value="{bad[0]}/{bad[1]}"' in page
        assert "hx-get" not in (await browser.get(f"{watched}/state")).text
        wrongs: list[dict[str, Any]] = [{"mail": []}, {"reason": ""}, {"deed": "burn"}, {"mail": ["x"]}]
        for wrong in (*wrongs, {"mail": ["a/b"] * 501}):
            assert (await browser.post("/quarantine/bulk", data=data | {"mail": ticked} | wrong)).status_code == 422
        async with busy.browser() as other:
            assert (await other.get(watched)).status_code == 404
    assert [await state_of(sqlite, copy) for copy in good] == [("released", *OURS)] * 3
    assert (await state_of(sqlite, bad))[0] == "held"
    assert await waiting(rabbit, Queue.DELIVERY) == 3
    assert len(await noted(sqlite, "quarantine release")) == 3


async def test_a_bulk_run_by_the_api_tells_how_far_it_is(site: Site, sqlite: Database) -> None:
    copy = await hold(sqlite)
    async with site.api(Role.OPERATOR) as program:
        body = {"deed": "delete", "copies": [{"id": copy[0], "part": copy[1]}] * 2, "reason": "spam"}
        begun = await program.post("/api/v1/quarantine/bulk", json=body)
        assert begun.status_code == 202, begun.text
        await program._transport.app._app.state.errands.wait()  # type: ignore[attr-defined]
        state = (await program.get(f"/api/v1/quarantine/bulk/{begun.json()['id']}")).json()
    assert (state["done"], state["total"], state["failed"], state["is_over"]) == (1, 1, [], True)
    assert (await state_of(sqlite, copy))[0] == "deleted"


async def test_a_manager_s_bulk_run_stops_at_the_bounds(site: Site, sqlite: Database) -> None:
    mine, others = await hold(sqlite, "a@mine.test"), await hold(sqlite, "b@other.test")
    async with site.api(Role.DOMAIN_MANAGER, ["mine.test"]) as program:
        copies = [{"id": message_id, "part": part} for message_id, part in (mine, others)]
        body = {"deed": "delete", "copies": copies, "reason": "spam"}
        begun = await program.post("/api/v1/quarantine/bulk", json=body)
        await program._transport.app._app.state.errands.wait()  # type: ignore[attr-defined]
        state = (await program.get(f"/api/v1/quarantine/bulk/{begun.json()['id']}")).json()
    assert (state["done"], [one["id"] for one in state["failed"]]) == (1, [others[0]])
    assert (await state_of(sqlite, others))[0] == "held"


async def test_the_sender_is_let_through_by_an_exemption_with_its_reason(
    busy: Site, sqlite: Database, rabbit: Rabbit
) -> None:
    settings = busy.backstage.settings
    text = '# ours\n[domains."gatepost.test"]\nroute = "mx"\nrecipients = "any"\n'
    desk = Desk(settings, sqlite, on_this_host("root"))
    await apply_policy(desk, text, "first")
    copy = await hold(sqlite)
    unproved = await hold(sqlite, proved=None)
    async with busy.browser(Role.OPERATOR) as browser:
        answer = await browser.post(f"{path_of(copy)}/allow", data=csrf(browser) | {"reason": "r"})
        assert answer.status_code == 403
    async with busy.api(Role.DOMAIN_MANAGER, ["gatepost.test"]) as program:
        wanted = {"part": copy[1], "reason": "our customer"}
        done = await program.post(f"/api/v1/quarantine/{copy[0]}/allow", json=wanted)
        assert done.status_code == 200, done.text
        wanted = {"part": unproved[1], "reason": "r"}
        refused = await program.post(f"/api/v1/quarantine/{unproved[0]}/allow", json=wanted)
        assert (refused.status_code, "not proved" in refused.text) == (409, True)
    assert (await state_of(sqlite, unproved))[0] == "held"
    [row, *_] = (await noted(sqlite, "policy apply"))[1:]
    assert "let m@example.org through: our customer" in str(row["details"])
    made = (await policy_version(desk, 2)).text
    assert made.startswith(text)
    [exemption] = parse_policy(made).exemptions
    assert (exemption.senders, exemption.domains) == (["m@example.org"], ["gatepost.test"])
    assert exemption.reason.startswith("our customer (")
    await desk.close()
