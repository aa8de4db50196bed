"""Turns at what is dear to do."""

import pytest

from services.console.web.turns import AT_ONCE, IN_WINDOW, WINDOW_S, TooOften, Turns


def test_one_user_has_one_at_a_time_and_all_together_a_few() -> None:
    turns = Turns()
    with turns.taken("ann", 0.0):
        with pytest.raises(TooOften, match="one of yours"), turns.taken("ann", 0.0):
            pass
        with turns.taken("ben", 0.0), turns.taken("cat", 0.0):
            assert AT_ONCE == 3
            with pytest.raises(TooOften, match="3 are under way"), turns.taken("dan", 0.0):
                pass
    with turns.taken("ann", 0.0):
        pass


def test_a_user_has_so_many_in_a_minute_and_a_refusal_costs_none() -> None:
    turns = Turns()
    for second in range(IN_WINDOW):
        with turns.taken("ann", float(second)):
            pass
    for _ in range(3):
        with pytest.raises(TooOften) as caught, turns.taken("ann", float(IN_WINDOW)):
            pass
        assert caught.value.wait_s == WINDOW_S - IN_WINDOW
    with turns.taken("ben", float(IN_WINDOW)):
        pass
    with turns.taken("ann", WINDOW_S):
        pass


def test_what_fails_gives_its_turn_back() -> None:
    turns = Turns()
    with pytest.raises(ValueError), turns.taken("ann", 0.0):
        raise ValueError
    with turns.taken("ann", 1.0):
        pass
