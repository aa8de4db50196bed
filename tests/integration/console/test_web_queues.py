"""Queues in the console: what waits, and orders about it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import insert, select

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.tables import audit, hops
from services.delivery.orders import Orders
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.event import EventKind, Stage
from shared.ids import new_id
from tests.integration.console.mail import event
from tests.integration.console.site import Site
from tests.integration.console.test_command_queue import ONE, TWO, waits
from tests.integration.console.test_web_overview import site_of, write
from tests.rabbit import Rabbit

HOSTILE = "451 <script>alert(1)</script> \u202egnp"


async def three(database: Database) -> list[str]:
    """Write three messages that wait, of two domains and two hops."""
    names = [new_id() for _ in range(3)]
    now = time.time()
    await write(
        database,
        *waits(names[0], "x@a.test", ONE, HOSTILE, now - 300),
        *waits(names[1], "y@a.test", ONE, HOSTILE, now - 200),
        *waits(names[2], "z@b.test", TWO, "connection refused", now - 100),
    )
    return names


async def orders_of(rabbit: Rabbit) -> Orders:
    """Return what a delivery process that starts now knows."""
    link = Link(rabbit.settings("delivery"), "test-orders")
    orders = Orders(link)
    link.start()
    try:
        await orders.wait_known()
    finally:
        await link.close()
    return orders


@asynccontextmanager
async def ordering(database: Database, folder: Path, rabbit: Rabbit) -> AsyncIterator[Site]:
    """Give a console that can publish."""
    link = Link(rabbit.settings("console"), "test-console")
    publisher = Publisher(link)
    link.start()
    try:
        yield Site(replace(site_of(database, folder, rabbit=rabbit).backstage, publisher=publisher))
    finally:
        await link.close()


async def audited(database: Database) -> set[tuple[str, str]]:
    async with database.reading() as connection:
        rows = await connection.execute(select(audit.c.action, audit.c.target).where(audit.c.action != "denied"))
        return {(row.action, row.target) for row in rows}


async def test_what_waits_is_shown_by_next_hop_with_its_reasons_as_text(database: Database, tmp_path: Path) -> None:
    await three(database)
    async with database.writing() as connection:
        row = {
            "hop": TWO,
            "host": "h",
            "state": "shut",
            "cause": HOSTILE,
            "until": time.time() + 600,
            "at": time.time(),
        }
        await connection.execute(insert(hops), [row])
    async with site_of(database, tmp_path).browser(Role.VIEWER) as browser:
        page = (await browser.get("/queues")).text
        assert ONE in page
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "/queues/order" not in page, "a viewer orders nothing"
        assert TWO not in (await browser.get("/queues?domain=a.test")).text.partition("Next hops")[0]
        assert (await browser.get("/queues?domain=smtp://a:25")).status_code == 422
        page = (await browser.get("/queues/destination", params={"hop": ONE})).text
        assert "x@a.test" in page
        assert "z@b.test" not in page
        assert "<script>alert" not in page
        for method, path in (("GET", "/queues/order?target=all"), ("POST", "/queues/order")):
            assert (await browser.request(method, path, data={"kind": "retry", "target": "all"} if method == "POST" else None)).status_code == 403  # fmt: skip


async def test_what_was_not_tried_yet_has_a_page_of_its_own(sqlite: Database, tmp_path: Path) -> None:
    name, now = new_id(), time.time()
    await write(
        sqlite,
        event(name, Stage.EDGE, EventKind.RECEIVED, now, sender="s@else.test", recipients=["n@a.test"]),
        event(name, Stage.CONTENT, EventKind.QUEUED, now + 1, to="delivery", recipients=["n@a.test"]),
    )
    async with site_of(sqlite, tmp_path).browser() as browser:
        assert "waits_as=queued" in (await browser.get("/queues")).text
        assert name in (await browser.get("/queues/destination?waits_as=queued")).text
        assert name not in (await browser.get("/queues/destination?waits_as=released")).text


async def test_pages_of_waiting_mail_miss_none_and_show_none_twice(database: Database, tmp_path: Path) -> None:
    names = [new_id() for _ in range(5)]
    at = time.time() - 500
    # Two of the same moment stand at the border of two pages.
    for place, name in enumerate(names):
        await write(database, *waits(name, "x@a.test", ONE, "busy", at + place // 2))
    seen: list[str] = []
    async with site_of(database, tmp_path).api(Role.VIEWER) as program:
        cursor = ""
        while True:
            answer = await program.get("/api/v1/queues/mail", params={"hop": ONE, "limit": 2, "cursor": cursor})
            page = answer.json()
            seen += [one["id"] for one in page["items"]]
            cursor = page["next"] or ""
            if not cursor:
                break
        assert sorted(seen) == sorted(names)
        assert [one["messages"] for one in (await program.get("/api/v1/queues")).json()] == [5]
        assert (await program.get("/api/v1/queues/mail?cursor=x")).status_code == 409
        assert (await program.get("/api/v1/queues?hop=a.test")).status_code == 422


async def test_an_order_says_first_how_many_it_concerns_and_asks_for_the_reason(
    rabbit: Rabbit, database: Database, tmp_path: Path
) -> None:
    first, second, _ = await three(database)
    async with ordering(database, tmp_path, rabbit) as site, site.browser(Role.OPERATOR) as browser:
        chosen = {"kind": "cancel", "target": [first, second]}
        page = (await browser.get("/queues/order", params=chosen)).text
        assert "<strong>2 messages</strong> known to wait" in page
        # A message that two targets name counts once.
        both = {"kind": "suspend", "target": [first, "a.test", ONE]}
        assert "<strong>2 messages</strong>" in (await browser.get("/queues/order", params=both)).text
        refused = await browser.post("/queues/order", data=chosen)
        assert (refused.status_code, "Say why" in refused.text) == (422, True)
        assert await audited(database) == set()
        done = await browser.post("/queues/order", data=chosen | {"why": "spam"})
        assert (done.status_code, done.headers["location"]) == (303, "/queues?ordered=cancel&count=2")
        assert "thrown away when it comes by next" in (await browser.get(done.headers["location"])).text
        assert await audited(database) == {("queue cancel", first), ("queue cancel", second)}
        wrong = await browser.post("/queues/order", data={"kind": "reroute", "target": "a.test", "why": "x", "to": "?"})
        assert (wrong.status_code, "expected smtp://" in wrong.text) == (422, True)
        assert "Nothing is chosen" in (await browser.get("/queues/order?kind=retry")).text
        assert (await browser.get("/queues/order?kind=explode&target=all")).status_code == 422


async def test_a_change_without_the_sessions_token_is_refused(sqlite: Database, tmp_path: Path) -> None:
    async with site_of(sqlite, tmp_path).browser() as browser:
        browser.headers["X-CSRF-Token"] = "no"
        answer = await browser.post("/queues/order", data={"kind": "retry", "target": "all", "csrf": "no"})
        assert answer.status_code == 403
    assert await audited(sqlite) == set()


async def test_orders_by_the_api_reach_delivery(rabbit: Rabbit, sqlite: Database, tmp_path: Path) -> None:
    await three(sqlite)
    async with ordering(sqlite, tmp_path, rabbit) as site, site.api(Role.OPERATOR) as program:
        count = await program.get("/api/v1/queues/orders/count", params={"target": ["a.test", "b.test"]})
        assert count.json() == {"waiting": 3}
        order = {"kind": "suspend", "targets": [ONE, "b.test"], "why": "disk"}
        done = await program.post("/api/v1/queues/orders", json=order)
        assert done.status_code == 201
        assert [(one["order"]["target"], one["waiting"]) for one in done.json()] == [(ONE, 2), ("b.test", 1)]
        assert [one["target"] for one in (await program.get("/api/v1/suspensions")).json()] == [ONE, "b.test"]
        assert (await orders_of(rabbit)).suspended_hop(ONE) is not None
        for wrong in (
            {"kind": "suspend", "targets": [ONE]}, {"kind": "retry", "targets": []}, {"kind": "retry", "targets": ["a b"]},
            {"kind": "retry", "targets": ["all"], "more": 1}, {"kind": "retry", "targets": ["all"], "why": "x" * 501},
        ):  # fmt: skip
            assert (await program.post("/api/v1/queues/orders", json=wrong)).status_code == 422, wrong


async def test_whom_domains_bound_sees_and_orders_of_these_domains_alone(
    rabbit: Rabbit, database: Database, tmp_path: Path
) -> None:
    first, _, third = await three(database)
    many = new_id()
    await write(
        database,
        event(
            many, Stage.EDGE, EventKind.RECEIVED, time.time(), sender="s@a.test", recipients=["p@a.test", "q@b.test"]
        ),
        event(many, Stage.DELIVERY, EventKind.RETRY, time.time(), not_before=time.time(), reason="busy", hop=ONE),
    )
    async with site_of(database, tmp_path).browser(Role.DOMAIN_MANAGER, ["a.test"]) as browser:
        page = (await browser.get("/queues")).text
        assert ONE in page
        for hidden in (TWO, "gatepost.content", "RabbitMQ", "Next hops", "/queues/order"):
            assert hidden not in page, hidden
        assert third not in (await browser.get("/queues/destination", params={"hop": TWO})).text
        assert (await browser.get("/queues/order?target=a.test")).status_code == 403
    async with ordering(database, tmp_path, rabbit) as site, site.api(Role.OPERATOR, ["a.test"]) as program:
        found = (await program.get("/api/v1/queues/mail")).json()["items"]
        assert third not in [one["id"] for one in found]
        assert (await program.get("/api/v1/hops")).status_code == 403
        for target in ("all", ONE, "b.test", third, many, new_id()):
            order = {"kind": "retry", "targets": [first, target]}
            assert (await program.post("/api/v1/queues/orders", json=order)).status_code == 403, target
            counted = await program.get("/api/v1/queues/orders/count", params={"target": target})
            assert counted.status_code == 403, target
        assert await audited(database) == set(), "all is checked before anything is ordered"
        done = await program.post("/api/v1/queues/orders", json={"kind": "retry", "targets": [first, "a.test"]})
        assert done.status_code == 201
        assert (await program.get("/api/v1/suspensions")).json() == []


async def test_the_brokers_console_is_linked_only_where_the_settings_name_it_and_for_who_may_order(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path
) -> None:
    with_url, without = site_of(sqlite, tmp_path, rabbit=rabbit), site_of(sqlite, tmp_path)
    for site, role, shown in (
        (with_url, Role.OPERATOR, True), (with_url, Role.VIEWER, False), (without, Role.OPERATOR, False),
    ):  # fmt: skip
        async with site.browser(role) as browser:
            page = (await browser.get("/queues")).text
            assert ("Open the RabbitMQ console" in page) is shown
            assert ("counts as a delivery" in page) is shown
