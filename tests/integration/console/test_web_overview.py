"""The overview, alerts, drain and events: pages and API."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import insert

from services.console.actions.live import Wanted, follow
from services.console.database import Database
from services.console.identity.rights import Role, on_this_host
from services.console.rows import Summary, event_rows
from services.console.settings import ManagementSettings, ServiceUrls
from services.console.store import Store
from services.console.tables import message_words
from services.console.web.backstage import Backstage
from shared.broker.connect import Link
from shared.event import Event, EventKind, Stage, encode_events
from shared.health import HealthServer
from shared.ids import new_id
from shared.settings import HealthSettings
from tests.integration.console.mail import delivered_story, event
from tests.integration.console.site import Site
from tests.integration.console.web_settings import SECRET, settings_for
from tests.rabbit import Rabbit

NOWHERE = "http://127.0.0.1:1"


async def write(database: Database, *told: Event) -> None:
    summaries: dict[str, Summary] = {}
    rows = event_rows(encode_events(told), summaries)
    async with database.writing() as connection:
        await Store(is_sqlite=database.is_sqlite).write_events(connection, rows, summaries)


def site_of(database: Database, folder: Path, edge: str = NOWHERE, rabbit: Rabbit | None = None) -> Site:
    settings = settings_for(database, folder, rabbit.settings("console") if rabbit else None)
    urls = ServiceUrls(edge=edge, content=NOWHERE, delivery=NOWHERE, recorder=NOWHERE)
    changes: dict[str, object] = {"services": urls}
    if rabbit is not None:
        admin = rabbit.settings("admin")
        changes["management"] = ManagementSettings(url=rabbit.management_url, user=admin.user, password=admin.password)
    return Site(Backstage(settings.model_copy(update=changes), database))


@asynccontextmanager
async def edge_with(sessions: int, *, ready: bool = True) -> AsyncIterator[str]:
    """Serve the health of an edge."""
    registry = CollectorRegistry()
    Gauge("gatepost_edge_open_sessions", "x", registry=registry).set(sessions)
    Gauge("gatepost_policy_version", "x", registry=registry).set(9)
    server = HealthServer(HealthSettings(port=0), {"<script>alert(1)</script>": lambda: ready}, registry)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.close()


async def test_a_viewer_sees_the_pipeline_with_live_numbers_and_what_became_of_mail(
    database: Database, tmp_path: Path
) -> None:
    await write(database, *delivered_story(new_id(), time.time() - 10))
    async with edge_with(17) as edge, site_of(database, tmp_path, edge).browser(Role.VIEWER) as browser:
        page = (await browser.get("/")).text
    assert "17 sessions" in page
    assert "ready · policy 9" in page
    assert "1/min" in page
    assert "delivered <strong>1</strong>" in page
    assert "content is not ready: not reachable" in page
    assert 'hx-get="/overview/live"' in page
    # No inline style: the browser would refuse it. And a picture is not read out beside its words.
    assert " style=" not in page
    assert page.count("<svg") == page.count('aria-hidden="true" focusable="false"')
    assert "17 sessions are open. In the last minute 1 messages came" in page


async def test_what_a_service_says_is_shown_as_text(sqlite: Database, tmp_path: Path) -> None:
    async with edge_with(0, ready=False) as edge, site_of(sqlite, tmp_path, edge).browser() as browser:
        for path in ("/", "/overview/live"):
            page = (await browser.get(path)).text
            assert "&lt;script&gt;alert(1)" in page
            assert "<script>alert" not in page


async def test_a_domain_manager_sees_what_became_of_the_domains_mail_and_no_machinery(
    database: Database, tmp_path: Path
) -> None:
    mine, other, now = new_id(), new_id(), time.time()
    await write(database, *delivered_story(mine, now - 60), *delivered_story(other, now - 50))
    rows = [{"word": f"d:{domain}", "at": now, "id": name} for domain, name in (("a.test", mine), ("b.test", other))]
    async with database.writing() as connection:
        await connection.execute(message_words.delete())
        await connection.execute(insert(message_words), rows)
    site = site_of(database, tmp_path)
    async with site.browser(Role.DOMAIN_MANAGER, ["a.test"]) as browser:
        page = (await browser.get("/")).text
        assert "delivered <strong>1</strong>" in page
        for hidden in ("Services", "RabbitMQ", "sqlite", "not ready", "The way of a mail", "/drain"):
            assert hidden not in page, hidden
        for path in ("/drain", "/events", "/events/live"):
            assert (await browser.get(path)).status_code == 403, path
    async with site.api(Role.DOMAIN_MANAGER, ["a.test"]) as program:
        for path in ("status", "alerts", "drain", "hops", "events", "outcomes?domain=b.test"):
            assert (await program.get(f"/api/v1/{path}")).status_code == 403, path
        found = (await program.get("/api/v1/outcomes")).json()
        assert sum(step.get("delivered", 0) for step in found["counts"]) == 1
    async with site.api(Role.VIEWER, []) as program:
        found = (await program.get("/api/v1/outcomes")).json()
        assert not any(found["counts"])


async def test_ten_open_browsers_cost_one_asking(sqlite: Database, tmp_path: Path) -> None:
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).split()[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        site = site_of(sqlite, tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with site.browser() as browser:
            pages = await asyncio.gather(*(browser.get("/overview/live") for _ in range(10)))
    assert {page.status_code for page in pages} == {200}
    assert sorted(path for path in asked if path != "/healthz") == ["/metrics", "/readyz"]


async def test_every_step_of_the_day_is_counted_once_on_both_databases(database: Database, tmp_path: Path) -> None:
    now = time.time()
    stories = [delivered_story(new_id(), now - hour * 3600 - 30) for hour in range(30)]
    await write(database, *(one for story in stories for one in story))
    async with site_of(database, tmp_path).api(Role.VIEWER) as program:
        found = (await program.get("/api/v1/outcomes")).json()
    assert len(found["counts"]) == 48
    assert found["since"] % 1800 == 0
    total = sum(step.get("delivered", 0) for step in found["counts"])
    assert 23 <= total <= 24
    assert all(step.get("delivered", 0) <= 1 for step in found["counts"])


async def test_the_broker_is_shown_with_its_alarm_and_its_queues(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path
) -> None:
    site = site_of(sqlite, tmp_path, rabbit=rabbit)
    async with site.api(Role.VIEWER) as program:
        found = (await program.get("/api/v1/status")).json()
        assert found["queues_problem"] is None
        assert "gatepost.content" in [queue["queue"] for queue in found["queues"]]
        (node,) = found["broker"]["nodes"]
        assert node["running"]
    with rabbit.memory_alarm():
        # A site of its own, for answers are kept for a moment; the API gathers its figures every few seconds.
        deadline = time.monotonic() + 30
        while True:
            fresh = Database(sqlite.url.render_as_string(hide_password=False))
            try:
                async with site_of(fresh, tmp_path, rabbit=rabbit).api(Role.VIEWER) as program:
                    alerts = (await program.get("/api/v1/alerts")).json()
            finally:
                await fresh.close()
            if any("memory alarm" in alert["text"] for alert in alerts):
                break
            assert time.monotonic() < deadline, alerts
            await asyncio.sleep(0.5)


async def test_of_a_machine_that_is_everything_it_is_said_why_it_cannot_go(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path
) -> None:
    link = Link(rabbit.settings("delivery"), "delivery-consume")
    link.start()
    site = site_of(sqlite, tmp_path, rabbit=rabbit)
    try:
        async with site.api(Role.VIEWER) as program, site.browser(Role.VIEWER) as browser:
            deadline = time.monotonic() + 30
            while True:
                found = (await program.get("/api/v1/drain")).json()
                if found and found[0]["services"]:
                    break
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)
            (host,) = found
            assert (host["host"], host["can"], host["is_broker"]) == ("127.0.0.1", False, True)
            assert [one["service"] for one in host["services"]] == ["delivery"]
            assert any("no other delivery runs" in why for why in host["why_not"])
            assert any("only node of the broker" in why for why in host["why_not"])
            assert (await program.get("/api/v1/drain/127.0.0.1")).json()["can"] is False
            assert (await program.get("/api/v1/drain/10.9.9.9")).status_code == 404
            assert "no other delivery runs" in (await browser.get("/drain")).text
    finally:
        await link.close()


async def test_without_the_brokers_word_nobody_tells_whether_a_machine_can_go(sqlite: Database, tmp_path: Path) -> None:
    site = site_of(sqlite, tmp_path)
    async with site.browser() as browser, site.api() as program:
        page = await browser.get("/drain")
        assert (page.status_code, "Nobody can tell now" in page.text) == (200, True)
        assert (await program.get("/api/v1/drain")).status_code == 503


def told(at: float, kind: EventKind = EventKind.COMMAND_REFUSED, **facts: object) -> Event:
    return event(new_id(), Stage.EDGE, kind, at, client="192.0.2.9", command="RCPT", reply="550 no", reason="relay-denied", **facts)  # fmt: skip


async def test_the_newest_events_are_listed_and_those_behind_one_that_is_known(
    database: Database, tmp_path: Path
) -> None:
    now = time.time()
    first, second, third = (told(now + place, recipient=f"{name}@x.test") for place, name in enumerate("abc"))
    await write(database, first, second, third)
    order = sorted((first, second, third), key=lambda one: one.uid)
    async with site_of(database, tmp_path).api(Role.VIEWER) as program:
        page = (await program.get("/api/v1/events?limit=2")).json()
        assert sorted(one["uid"] for one in page["items"]) == [one.uid for one in order[1:]]
        page = (await program.get("/api/v1/events", params={"after": order[0].uid})).json()
        assert sorted(one["uid"] for one in page["items"]) == [one.uid for one in order[1:]]
        assert page["next"] == order[2].uid
        page = (await program.get("/api/v1/events", params={"address": "B@x.test"})).json()
        assert [one["uid"] for one in page["items"]] == [second.uid]
        assert "not ours" in page["items"][0]["text"]
        assert (await program.get("/api/v1/events?domain=a%20b")).status_code in (409, 422)
        assert (await program.get("/api/v1/events?after=%27%20or%201")).status_code == 422


async def test_a_stream_begins_behind_the_last_event_that_its_listener_has(sqlite: Database, tmp_path: Path) -> None:
    first, second = told(time.time()), told(time.time(), recipient="b\u202e<b>@x.test")
    await write(sqlite, first, second)
    known, fresh = sorted((first, second), key=lambda one: one.uid)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": known.uid}
    async with site_of(sqlite, tmp_path).api(Role.VIEWER) as program:
        answer = await program.get("/api/v1/events?seconds=1", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    (shown,) = [block for block in answer.text.split("\n\n") if block.startswith("id: ")]
    name, _, data = shown.partition("\n")
    assert name == f"id: {fresh.uid}"
    assert json.loads(data.removeprefix("data: "))["id"] == fresh.id
    assert "\u202e" not in json.loads(data.removeprefix("data: "))["text"]


async def test_who_follows_gets_what_is_written_later_also_where_it_happened_before(
    database: Database, tmp_path: Path
) -> None:
    desk = Backstage(settings_for(database, tmp_path), database).desk(on_this_host("root"))
    late, known = told(time.time() - 20), told(time.time())
    await write(database, known)
    listening = follow(desk, Wanted())
    try:
        # The first look is over: what is there is known.
        assert await anext(listening) is None
        fresh = told(time.time())
        await write(database, late, fresh)
        got: list[str] = []
        async with asyncio.timeout(20):
            while len(got) < 2:
                one = await anext(listening)
                got += [one.uid] if one is not None else []
        assert sorted(got) == sorted([late.uid, fresh.uid])
    finally:
        await listening.aclose()  # type: ignore[attr-defined]


async def test_no_more_listen_than_there_are_places(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("services.console.actions.live.LISTENERS", 0)
    async with site_of(sqlite, tmp_path).api(Role.VIEWER) as program:
        answer = await program.get("/api/v1/events?seconds=1", headers={"Accept": "text/event-stream"})
        assert answer.status_code == 409


async def test_the_page_of_events_shows_strangers_words_as_text(sqlite: Database, tmp_path: Path) -> None:
    await write(sqlite, told(time.time(), recipient="<img src=x onerror=alert(1)>@x.test"))
    async with site_of(sqlite, tmp_path).browser(Role.VIEWER) as browser:
        for path in ("/events", "/events/live", "/events?kind=command-refused"):
            page = (await browser.get(path)).text
            assert "<img src=x" not in page
            assert "relay" in page or "not ours" in page
        assert (await browser.get("/events?domain=a%20b")).status_code == 422


async def test_the_oldest_and_the_newest_policy_are_told(database: Database, tmp_path: Path) -> None:
    old = delivered_story(new_id(), time.time() - 5 * 3600)[:4]
    await write(database, *old)
    async with site_of(database, tmp_path).api() as program:
        found = (await program.get("/api/v1/status")).json()
        alerts = (await program.get("/api/v1/alerts")).json()
    assert found["oldest"][0] == old[0].id
    assert found["policy"] is None
    assert any("has waited for 5.0 h" in alert["text"] for alert in alerts)
    assert SECRET not in json.dumps(found)
