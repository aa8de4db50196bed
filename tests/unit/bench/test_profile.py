"""The rules of `tests.bench.profile`."""

import pytest

from tests.bench.profile import own_shares, own_time_table

_RAW = "main (a.py);send (a.py);write (libc.so.6) 3\nmain (a.py);read (a.py) 4\nmain (a.py);write (libc.so.6) 3\n"


def test_own_time_is_that_of_the_innermost_frame_whoever_called_it() -> None:
    assert own_shares(_RAW) == pytest.approx({"write (libc.so.6)": 0.6, "read (a.py)": 0.4})


def test_the_most_frequent_comes_first() -> None:
    assert list(own_shares(_RAW)) == ["write (libc.so.6)", "read (a.py)"]


def test_no_look_at_all_has_no_shares() -> None:
    assert own_shares("") == {}


def test_a_line_without_a_count_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        own_shares("main (a.py);send (a.py)")


def test_a_function_that_one_column_lacks_has_no_share_there() -> None:
    words = own_time_table({"4 kB": {"write": 0.6, "read": 0.4}, "50 kB": {"write": 1.0}})
    assert "|  | 4 kB | 50 kB |" in words
    assert "| `write` | 60.0% | 100.0% |" in words
    assert "| `read` | 40.0% | 0.0% |" in words
