"""How long whoever fails to log in must wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.identity.throttle_rules import (
    OF_ADDRESS,
    OF_NAME,
    WINDOW_S,
    address_subject,
    name_subject,
    wait_s,
)


@pytest.mark.parametrize(
    "failures, wait", [(0, 0), (4, 0), (5, 5), (6, 10), (7, 20), (8, 40), (12, 640), (13, 900), (1000, 900)]
)
def test_the_delay_doubles_up_to_a_quarter_of_an_hour(failures: int, wait: float) -> None:
    assert wait_s([100.0] * failures, 100.0, OF_NAME) == wait


def test_the_delay_counts_from_the_last_failure_and_ends() -> None:
    failures = [10.0, 20.0, 30.0, 40.0, 50.0]
    assert wait_s(failures, 52.0, OF_NAME) == 3.0
    assert wait_s(failures, 55.0, OF_NAME) == 0.0


def test_failures_are_forgotten_after_an_hour() -> None:
    assert wait_s([0.0] * 50, WINDOW_S, OF_NAME) == 0.0


def test_an_address_that_many_share_has_more_room_than_a_name() -> None:
    assert wait_s([0.0] * 19, 0.0, OF_ADDRESS) == 0.0
    assert wait_s([0.0] * 20, 0.0, OF_ADDRESS) > 0.0


@given(st.lists(st.floats(0, 1e9), max_size=200), st.floats(0, 1e9))
def test_nobody_waits_longer_than_the_bound(failures: list[float], now: float) -> None:
    assert 0.0 <= wait_s(failures, now, OF_NAME) <= OF_NAME.longest_s + 1e-3


@pytest.mark.parametrize(
    "one, other",
    [
        ("2001:db8::1", "2001:db8::ffff:2"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
    ],
)
def test_addresses_of_one_customer_count_together(one: str, other: str) -> None:
    assert address_subject(one) == address_subject(other)


def test_other_networks_and_addresses_count_apart() -> None:
    assert address_subject("2001:db8::1") != address_subject("2001:db8:0:1::1")
    assert address_subject("192.0.2.7") != address_subject("192.0.2.8")


def test_a_name_counts_the_same_in_capitals_and_is_not_kept_as_it_is() -> None:
    assert name_subject(" Anna ") == name_subject("anna")
    assert "anna" not in name_subject("anna")
