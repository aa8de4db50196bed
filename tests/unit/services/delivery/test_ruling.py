"""What orders say of a message."""

from dataclasses import replace

import pytest

from services.delivery.ruling import LIMIT, NOTHING, OrderBook, Ruling, bounce_reply, ordered_facts
from shared.envelope import Client, Direction, Envelope, Recipient, Retry
from shared.order import LONGEST_LIFETIME_S, By, Order, OrderKind, Target
from shared.routes import parse_route

NOW = 1_800_000_000.0
HOP = "smtp://one:25"
ALL = Target(By.ALL)


def mail(*recipients: str, **more: object) -> Envelope:
    envelope = Envelope(
        id="child", received_at=NOW - 100, listener="mx", direction=Direction.INBOUND,
        client=Client("192.0.2.7", 1, "c"), sender="s@else.test",
        recipients=tuple(map(Recipient, recipients or ("x@a.test",))), size_bytes=1, parent="parent",
    )  # fmt: skip
    return replace(envelope, **more)  # type: ignore[arg-type]


def order(kind: OrderKind, target: Target, at: float = NOW - 50, to: str = "") -> Order:
    return Order(f"{kind}{target}{at}", at, kind, target, "anna", "why", to)


def rule(envelope: Envelope, *orders: Order, hop: str = HOP) -> Ruling:
    book = OrderBook()
    for one in orders:
        book.take(one, NOW)
    return book.ruling(envelope, hop, NOW)


CONCERNED = [
    (ALL, True),
    (Target(By.MESSAGE, "child"), True),
    (Target(By.MESSAGE, "parent"), True),
    (Target(By.MESSAGE, "other"), False),
    (Target(By.DOMAIN, "a.test"), True),
    (Target(By.DOMAIN, "b.test"), False),
    (Target(By.HOP, HOP), True),
    (Target(By.HOP, "smtp://two:25"), False),
]


@pytest.mark.parametrize(("target", "concerned"), CONCERNED)
@pytest.mark.parametrize("kind", [OrderKind.CANCEL, OrderKind.BOUNCE])
def test_mail_is_named_by_id_parent_domain_hop_or_all(kind: OrderKind, target: Target, concerned: bool) -> None:
    one = order(kind, target)
    assert rule(mail(), one) == (Ruling(ends=one) if concerned else NOTHING)


def test_without_orders_nothing_is_to_be_done() -> None:
    assert rule(mail()) is NOTHING


def test_mail_that_came_after_an_order_is_not_concerned() -> None:
    assert rule(mail(received_at=NOW - 10), order(OrderKind.CANCEL, ALL)) == NOTHING


def test_a_report_is_not_cancelled_with_the_message_that_it_is_about() -> None:
    report = mail(listener="delivery", sender="")
    assert rule(report, order(OrderKind.CANCEL, Target(By.MESSAGE, "parent"))) == NOTHING
    assert rule(mail(sender=""), order(OrderKind.CANCEL, Target(By.MESSAGE, "parent"))).ends is not None


def test_a_retry_counts_until_it_was_tried() -> None:
    one = order(OrderKind.RETRY, ALL)
    assert rule(mail(), one).retry == one
    assert rule(mail(retry=Retry(tried_at=NOW - 60)), one).retry == one
    assert rule(mail(retry=Retry(tried_at=NOW - 40)), one).retry is None


def test_the_newest_reroute_says_where_it_goes_for_the_rest_of_its_life_and_has_it_tried_once() -> None:
    old = order(OrderKind.REROUTE, ALL, NOW - 60, "smtp://two:25")
    new = order(OrderKind.REROUTE, Target(By.DOMAIN, "a.test"), NOW - 50, "smtp://three:25")
    ruling = rule(mail(), new, old)
    assert (ruling.reroute, ruling.retry, ruling.to) == (new, new, parse_route("smtp://three:25"))
    tried = rule(mail(retry=Retry(tried_at=NOW - 40)), new, old)
    assert (tried.reroute, tried.retry) == (new, None)


def test_a_reroute_to_policy_undoes_an_earlier_one() -> None:
    old = order(OrderKind.REROUTE, ALL, NOW - 60, "smtp://two:25")
    assert rule(mail(), old, order(OrderKind.REROUTE, ALL, NOW - 50, "policy")).to is None


def test_rerouted_mail_is_named_by_its_new_hop_too() -> None:
    moved = order(OrderKind.REROUTE, ALL, NOW - 60, "smtp://two:25")
    cancelled = order(OrderKind.CANCEL, Target(By.HOP, "smtp://two:25"))
    assert rule(mail(), moved, cancelled).ends == cancelled
    to_mx = order(OrderKind.REROUTE, ALL, NOW - 60, "mx")
    by_mx = order(OrderKind.CANCEL, Target(By.HOP, "mx:a.test"))
    assert rule(mail(), to_mx, by_mx).ends == by_mx


def test_what_is_cancelled_stays_so_whatever_is_ordered_later() -> None:
    cancelled = order(OrderKind.CANCEL, ALL)
    assert rule(mail(), cancelled, order(OrderKind.RETRY, ALL, NOW - 10)).ends == cancelled


def test_a_suspension_holds_back_mail_that_comes_later_too() -> None:
    one = order(OrderKind.SUSPEND, Target(By.DOMAIN, "a.test"))
    assert rule(mail(received_at=NOW), one) == Ruling(suspended=one)
    assert rule(mail("x@b.test"), one) == NOTHING


def test_a_suspended_hop_is_left_to_the_hops_for_mail_may_have_another() -> None:
    one = order(OrderKind.SUSPEND, Target(By.HOP, HOP))
    book = OrderBook()
    book.take(one, NOW)
    assert book.ruling(mail(), HOP, NOW) == NOTHING
    assert book.suspended_hop(HOP) == one
    assert book.suspended_hop("smtp://two:25") is None


def test_recipients_for_whom_different_orders_hold_are_set_apart() -> None:
    envelope = mail("x@a.test", "y@b.test", "z@A.test")
    one = order(OrderKind.CANCEL, Target(By.DOMAIN, "a.test"))
    x, y, z = envelope.recipients
    assert rule(envelope, one) == Ruling(apart=((x, z), (y,)))
    assert rule(envelope.with_recipients((x, z)), one) == Ruling(ends=one)
    # What holds for all of them sets nobody apart.
    assert rule(envelope, order(OrderKind.CANCEL, ALL)).apart == ()


def test_a_domain_is_the_same_in_either_form() -> None:
    one = order(OrderKind.CANCEL, Target(By.DOMAIN, "xn--bcher-kva.example"))
    assert rule(mail("x@bücher.example"), one).ends == one


def test_reading_the_stream_again_changes_nothing_and_old_orders_are_forgotten() -> None:
    book = OrderBook()
    one = order(OrderKind.RETRY, ALL)
    assert [book.take(one, NOW), book.take(one, NOW)] == [True, False]
    later = NOW + LONGEST_LIFETIME_S
    assert not book.take(order(OrderKind.RETRY, ALL, NOW - 60), later)
    assert len(book) == 0


def test_memory_is_bounded_and_the_newest_stay() -> None:
    book = OrderBook()
    for number in range(LIMIT + 7):
        book.take(order(OrderKind.CANCEL, Target(By.MESSAGE, f"m{number}")), NOW)
    assert len(book) == LIMIT
    assert book.is_full
    assert book.ruling(mail(id="m3"), HOP, NOW) == NOTHING
    assert book.ruling(mail(id=f"m{LIMIT}"), HOP, NOW).ends is not None


def test_the_sender_reads_why_it_was_bounced_in_ascii() -> None:
    one = replace(order(OrderKind.BOUNCE, ALL), why="kein Zugang für dich\r\n250 ok")
    assert str(bounce_reply(one)) == "550 5.0.0 Returned by the administrator: kein Zugang f?r dich??250 ok"
    assert str(bounce_reply(replace(one, why=""))) == "550 5.0.0 Returned by the administrator"


def test_the_trace_is_told_who_ordered_what() -> None:
    one = order(OrderKind.REROUTE, ALL, to="mx")
    assert ordered_facts(one, mail()) == {
        "order": "reroute", "order_id": one.id, "by": "anna", "why": "why", "recipients": ["x@a.test"], "to": "mx",
    }  # fmt: skip
