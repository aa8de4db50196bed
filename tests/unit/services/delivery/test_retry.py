"""When a message is tried again."""

import pytest

from services.delivery.classify import FailureClass
from services.delivery.retry import EARLY_S, early_by_s, ladder, next_delay_s, rung
from shared.policy import RetryRules

RULES = RetryRules(
    steps_s=[1], connection_steps_s=[2], greylisted_steps_s=[3], policy_steps_s=[4], codes={"4.2.2": [5, 6]}
)


@pytest.mark.parametrize(
    ("failures", "age_s", "delay_s"),
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
def test_steps_then_the_last_one_until_the_end_of_life(failures: int, age_s: float, delay_s: float | None) -> None:
    assert next_delay_s(failures, age_s, [60, 300, 900], 10_000) == delay_s


def test_failures_are_counted_from_1() -> None:
    with pytest.raises(ValueError, match="from 1"):
        next_delay_s(0, 0, [60], 10_000)


@pytest.mark.parametrize(
    ("failure", "enhanced", "steps_s"),
    [
        (FailureClass.CONNECTION, "4.4.1", [2]),
        (FailureClass.NETWORK, "4.4.3", [2]),
        (FailureClass.GREYLISTED, "4.7.1", [3]),
        (FailureClass.POLICY, "4.7.1", [4]),
        (FailureClass.MAILBOX_FULL, "4.2.0", [1]),
        (FailureClass.CONTENT, "4.6.0", [1]),
        (FailureClass.OTHER, "4.0.0", [1]),
        (FailureClass.MAILBOX_FULL, "4.2.2", [5, 6]),
        (FailureClass.GREYLISTED, "4.2.2", [5, 6]),
        (FailureClass.TOO_MANY, "4.5.3", [5, 5, 5, 60]),
    ],
)
def test_each_class_has_its_ladder_and_a_code_of_the_policy_goes_first(
    failure: FailureClass, enhanced: str, steps_s: list[int]
) -> None:
    assert list(ladder(failure, enhanced, RULES)) == steps_s


@pytest.mark.parametrize(
    ("failures", "attempts", "place"),
    [(1, 1, 1), (4, 4, 4), (1, 2, 1), (1, 5, 1), (1, 9, 3), (2, 30, 10)],
)
def test_a_class_begins_its_ladder_at_the_top_unless_classes_keep_taking_turns(
    failures: int, attempts: int, place: int
) -> None:
    assert rung(failures, attempts) == place


@pytest.mark.parametrize(("not_before", "early_s"), [(0, 0), (1000, 0), (1000 + EARLY_S, 0), (1010, 10), (1899, 899)])
def test_a_little_early_is_in_time(not_before: float, early_s: float) -> None:
    assert early_by_s(not_before, 1000) == early_s
