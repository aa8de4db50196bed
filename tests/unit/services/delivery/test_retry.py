"""When a message is tried again."""

import pytest

from services.delivery.retry import EARLY_S, early_by_s, next_delay_s
from shared.policy import RetryRules

PLAN = RetryRules(steps_s=[60, 300, 900], lifetime_s=10_000)


@pytest.mark.parametrize(
    ("attempt", "age_s", "delay_s"),
    [
        (1, 0, 60),
        (2, 61, 300),
        (3, 400, 900),
        (4, 2000, 900),
        (99, 2000, 900),
        (1, 9_990, 10),
        (5, 9_500, 500),
        (1, 10_000, None),
        (1, 20_000, None),
    ],
)
def test_steps_then_the_last_one_until_the_end_of_life(attempt: int, age_s: float, delay_s: float | None) -> None:
    assert next_delay_s(attempt, age_s, PLAN) == delay_s


def test_attempts_are_counted_from_1() -> None:
    with pytest.raises(ValueError, match="from 1"):
        next_delay_s(0, 0, PLAN)


@pytest.mark.parametrize(("not_before", "early_s"), [(0, 0), (1000, 0), (1000 + EARLY_S, 0), (1010, 10), (1899, 899)])
def test_a_little_early_is_in_time(not_before: float, early_s: float) -> None:
    assert early_by_s(not_before, 1000) == early_s
