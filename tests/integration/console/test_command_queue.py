"""`gatepost queue`, on a real broker and both databases; delivery reads what it orders."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from services.console.database import Database
from services.console.tables import audit
from services.delivery.orders import Orders
from shared.broker.connect import Link
from shared.event import Event, EventKind, Stage
from shared.ids import new_id
from shared.order import OrderKind
from tests.integration.console.command import Gatepost
from tests.integration.console.mail import envelope, event
from tests.integration.console.postgres import Postgres
from tests.rabbit import Rabbit

AT = 1_800_000_000.0
ONE, TWO = "smtp://one.test:25", "smtp://two.test:25"


@pytest.fixture(params=["sqlite", "postgres"])
def everywhere(request: pytest.FixtureRequest, rabbit: Rabbit, tmp_path: Path) -> Gatepost:
    """The command on each kind of database."""
    if request.param == "sqlite":
        return Gatepost(tmp_path, rabbit)
    postgres: Postgres = request.getfixturevalue("postgres")
    return Gatepost(tmp_path, rabbit, asyncio.run(postgres.fresh(f"queue{new_id()}")))


def waits(message_id: str, recipient: str, hop: str | None, reason: str, at: float = AT) -> list[Event]:
    told = {"hop": hop} if hop else {}
    return [
        event(message_id, Stage.EDGE, EventKind.RECEIVED, at, sender="s@else.test", recipients=[recipient]),
        event(message_id, Stage.DELIVERY, EventKind.RETRY, at + 1, not_before=at + 60, reason=reason, **told),
    ]


def orders_at_delivery(gatepost: Gatepost) -> Orders:
    """What a delivery process that starts now knows."""

    async def read() -> Orders:
        link = Link(gatepost.rabbit.settings("delivery"), "test-orders")
        orders = Orders(link)
        link.start()
        try:
            async with asyncio.timeout(10):
                await orders.wait_known()
        finally:
            await link.close()
        return orders

    return asyncio.run(read())


def test_what_waits_is_shown_by_next_hop_with_its_reasons(everywhere: Gatepost) -> None:
    first, second, third, fresh = (new_id() for _ in range(4))
    everywhere.write(
        [
            *waits(first, "x@a.test", ONE, "451 4.3.2 busy"),
            *waits(second, "y@a.test", ONE, "451 4.3.2 busy", AT + 5),
            *waits(third, "z@b.test", TWO, "connection refused"),
            event(fresh, Stage.EDGE, EventKind.RECEIVED, AT, sender="s@else.test", recipients=["n@a.test"]),
            event(fresh, Stage.CONTENT, EventKind.QUEUED, AT + 1, to="delivery", recipients=["n@a.test"]),
        ]
    )
    found = {one["hop"]: one for one in everywhere.json("queue", "list")}
    assert {hop: one["messages"] for hop, one in found.items()} == {ONE: 2, TWO: 1, None: 1}
    assert found[ONE]["reasons"] == [["451 4.3.2 busy", 2]]
    assert (found[ONE]["oldest"], found[ONE]["next_try"]) == (AT, AT + 60)
    assert found[None]["state"] == "queued"
    assert [one["hop"] for one in everywhere.json("queue", "list", "--reason", "REFUSED")] == [TWO]
    assert [one["hop"] for one in everywhere.json("queue", "list", "--domain", "B.test")] == [TWO]
    assert [one["messages"] for one in everywhere.json("queue", "list", "--hop", ONE)] == [2]
    assert [one["id"] for one in everywhere.json("queue", "show", ONE)] == [first, second]
    assert [one["id"] for one in everywhere.json("queue", "show", third)] == [third]
    shown = everywhere("queue", "list").stdout
    assert "(not tried yet)" in shown
    assert "451 4.3.2 busy (2)" in shown
    assert "z@b.test" in everywhere("queue", "show", "b.test").stdout
    assert "Nothing waits for" in everywhere("queue", "show", "nothing.test").stdout


def test_what_was_delivered_does_not_wait_any_more(everywhere: Gatepost) -> None:
    message_id = new_id()
    everywhere.write(waits(message_id, "x@a.test", ONE, "busy"))
    everywhere.write([event(message_id, Stage.DELIVERY, EventKind.DELIVERED, AT + 9, hop=ONE, recipients=["x@a.test"])])
    assert everywhere.json("queue", "list") == []
    assert "Nothing waits." in everywhere("queue", "list").stdout


def test_each_order_reaches_delivery_and_the_audit(everywhere: Gatepost) -> None:
    old = time.time() - 60
    mail = replace(envelope(new_id(), "x@a.test"), received_at=old)
    other = replace(envelope(new_id(), "y@b.test"), received_at=old)
    everywhere.write(waits(mail.id, "x@a.test", ONE, "busy"))
    done = everywhere("queue", "reroute", "a.test", "--to", "smtp://two.test", "--reason", "moved")
    assert done.exit_code == 0, done.output
    assert f"Mail of a.test goes to {TWO} when it comes by next (1 message known to wait)." in done.stdout
    assert everywhere("queue", "bounce", mail.id, "--reason", "wrong list", "--yes").exit_code == 0
    assert everywhere("queue", "suspend", ONE, "b.test", "--reason", "disk").exit_code == 0
    orders = orders_at_delivery(everywhere)
    ruling = orders.ruling(mail, ONE, time.time())
    assert ruling.ends is not None
    assert (ruling.ends.kind, ruling.ends.why, ruling.suspended) == (OrderKind.BOUNCE, "wrong list", None)
    assert str(ruling.to) == TWO
    assert orders.suspended_hop(ONE) is not None
    assert "disk" in (orders.suspended_hop(ONE) or "")
    assert orders.suspended_hop(TWO) is None
    held = orders.ruling(other, TWO, time.time()).suspended
    assert held is not None
    assert held.kind is OrderKind.SUSPEND
    assert _audit(everywhere) == {
        ("queue reroute", "a.test"), ("queue bounce", mail.id), ("queue suspend", ONE), ("queue suspend", "b.test"),
    }  # fmt: skip
    shown = everywhere("queue", "hops").stdout
    assert f"{ONE} (disk)" in shown
    assert [one["target"] for one in everywhere.json("queue", "hops")["suspended"]] == [ONE, "b.test"]
    assert everywhere("queue", "resume", "all").exit_code == 0
    assert everywhere.json("queue", "hops")["suspended"] == []
    assert orders_at_delivery(everywhere).suspended_hop(ONE) is None


def test_an_order_by_id_reaches_the_parts_of_its_parts(gatepost: Gatepost) -> None:
    whole, part, inner, report = (new_id() for _ in range(4))
    recipients = ["x@a.test"]
    gatepost.write(
        [
            event(
                whole, Stage.DELIVERY, EventKind.SPLIT, AT, into=[{"id": part, "hop": ONE, "recipients": recipients}]
            ),
            event(
                part, Stage.DELIVERY, EventKind.SPLIT, AT, into=[{"id": inner, "hop": ONE, "recipients": recipients}]
            ),
            event(part, Stage.DELIVERY, EventKind.DSN_SENT, AT, dsn_id=report, action="delayed", to="s@else.test"),
        ]
    )
    assert gatepost("queue", "cancel", whole, "--reason", "spam", "--yes").exit_code == 0
    assert _audit(gatepost) == {("queue cancel", whole), ("queue cancel", inner)}


def test_what_cannot_be_ordered_is_refused_before_anything_is(gatepost: Gatepost) -> None:
    for arguments, text in (
        (("retry", "a.test", "no target"), "'no target' is no id, no next hop and no domain"),
        (("reroute", "a.test", "--to", "two", "--reason", "x"), "expected smtp://"),
        (("suspend", "a.test", "--reason", " "), "--reason is empty"),
        (("list", "--hop", "a.test"), "'a.test' is no next hop"),
        (("list", "--domain", ONE), "is no domain"),
        (("show", "a b"), "is no id"),
    ):
        done = gatepost("queue", *arguments)
        assert done.exit_code in (1, 2), arguments
        assert text in done.output, arguments
    assert _audit(gatepost) == set()


def test_mail_is_thrown_away_only_after_a_yes(gatepost: Gatepost) -> None:
    gatepost.write(waits(new_id(), "x@a.test", ONE, "busy"))
    done = gatepost("queue", "cancel", "a.test", "--reason", "spam", typed="n\n")
    assert done.exit_code == 1
    assert "1 known to wait" in done.stdout
    assert _audit(gatepost) == set()


def test_resuming_one_target_says_that_all_is_held_back(gatepost: Gatepost) -> None:
    gatepost("queue", "suspend", "all", "--reason", "move")
    done = gatepost("queue", "resume", "a.test")
    assert "held back all the same: all is suspended" in done.stdout


@pytest.mark.slow
def test_without_a_broker_nothing_is_ordered(gatepost: Gatepost) -> None:
    gatepost.file.write_text(gatepost.file.read_text().replace(f"port = {gatepost.rabbit.port}", "port = 1", 1))
    done = gatepost("queue", "retry", "a.test")
    assert done.exit_code == 1
    assert "it is not ordered" in done.output
    assert _audit(gatepost) == set()


def _audit(gatepost: Gatepost) -> set[tuple[str, str]]:
    async def rows(database: Database) -> set[tuple[str, str]]:
        async with database.reading() as connection:
            return {
                (row.action, row.target) for row in await connection.execute(select(audit.c.action, audit.c.target))
            }

    return gatepost.with_database(rows)
