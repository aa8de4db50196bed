"""Rules of what a too large message is cut to."""

from hypothesis import given
from hypothesis import strategies as st

from services.content.engines.cut import beginning


def test_a_message_within_the_limit_is_given_whole() -> None:
    message = b"a\r\nb\r\n"
    assert beginning(message, 6) is message


def test_a_larger_one_ends_with_a_whole_line() -> None:
    assert beginning(b"one\r\ntwo\r\nthree\r\n", 12) == b"one\r\ntwo\r\n"


def test_a_single_line_is_cut_where_it_must_be() -> None:
    assert beginning(b"x" * 20, 10) == b"x" * 10


@given(st.binary(max_size=200), st.integers(1, 100))
def test_it_is_a_beginning_and_never_too_long_nor_empty(message: bytes, limit: int) -> None:
    given_ = beginning(message, limit)
    assert message.startswith(given_)
    assert len(given_) <= limit
    assert given_ or not message
