"""What stands suspended."""

import itertools

import pytest

from shared.order import By, Order, OrderKind, Target
from shared.suspensions import EVERYTHING, LIMIT, Suspensions

HOP = Target(By.HOP, "smtp://one:25")
DOMAIN = Target(By.DOMAIN, "a.test")


def order(at: float, kind: OrderKind, target: Target = HOP) -> Order:
    return Order(f"o{at}", at, kind, target, "anna", "")


SUSPEND, RESUME = OrderKind.SUSPEND, OrderKind.RESUME
RULES = [
    ("nothing is suspended without an order", [], False),
    ("a suspension stands", [order(1, SUSPEND)], True),
    ("a resumption ends it", [order(1, SUSPEND), order(2, RESUME)], False),
    ("it can be suspended again", [order(1, SUSPEND), order(2, RESUME), order(3, SUSPEND)], True),
    ("all ends every suspension", [order(1, SUSPEND), order(2, RESUME, EVERYTHING)], False),
    ("what is suspended after that is so", [order(1, RESUME, EVERYTHING), order(2, SUSPEND)], True),
    ("all holds back each", [order(1, SUSPEND, EVERYTHING)], True),
    ("a target alone cannot leave all", [order(1, SUSPEND, EVERYTHING), order(2, RESUME)], True),
    ("another target is another matter", [order(1, SUSPEND, DOMAIN)], False),
]


@pytest.mark.parametrize(("orders", "suspended"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_suspension_in_any_order_of_reading(orders: list[Order], suspended: bool) -> None:
    for read in itertools.permutations(orders):
        known = Suspensions()
        for one in read:
            known.take(one)
        assert (known.of([EVERYTHING, HOP]) is not None) is suspended


def test_reading_again_changes_nothing() -> None:
    known = Suspensions()
    orders = [order(1, SUSPEND), order(2, RESUME)]
    assert [known.take(one) for one in orders] == [True, True]
    assert [known.take(one) for one in orders] == [False, False]
    assert known.all() == []


def test_memory_is_bounded_and_resumptions_are_forgotten_first() -> None:
    known = Suspensions()
    first = order(1, SUSPEND)
    known.take(first)
    for number in range(LIMIT + 5):
        known.take(order(2.0 + number, RESUME, Target(By.DOMAIN, f"d{number}.test")))
    assert len(known) == LIMIT
    assert known.all() == [first]
