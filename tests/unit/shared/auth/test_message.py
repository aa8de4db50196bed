"""The split of a message."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import message as module
from shared.auth.message import Field, split_message


def test_the_body_begins_after_the_first_empty_line_and_is_not_touched() -> None:
    message = split_message(b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n\r\n  there \n\r\n")
    assert message.body == b"hello\r\n\r\n  there \n\r\n"
    assert message.fault == ""


def test_a_field_keeps_its_raw_name_and_value_with_folds() -> None:
    message = split_message(b"Subject : one\r\n\ttwo \r\n three\r\nX: \r\n\r\n")
    assert message.fields == (Field(b"subject", b"Subject ", b" one\r\n\ttwo \r\n three"), Field(b"x", b"X", b" "))


def test_a_message_may_have_no_header_or_no_body() -> None:
    assert split_message(b"\r\nbody") == module.Message((), b"body")
    assert split_message(b"A: 1\r\n").fields == (Field(b"a", b"A", b" 1"),)
    assert split_message(b"A: 1").body == b""


def test_values_returns_all_fields_of_a_name_topmost_first() -> None:
    assert split_message(b"A: 1\r\nB: 2\r\na: 3\r\n\r\n").values(b"a") == [b" 1", b" 3"]


def test_a_line_that_is_no_field_is_a_fault_and_the_other_fields_are_kept() -> None:
    for line in (b"no colon here", b"na me: x", b": no name", b" starts folded", b"n\x80: x"):
        message = split_message(line + b"\r\nFrom: a@b.example\r\n\r\n")
        assert "is not a field" in message.fault, line
        assert message.values(b"from") == [b" a@b.example"]


def test_an_endless_header_is_a_fault_and_is_not_read_past_the_bound() -> None:
    message = split_message(b"X: " + b"y" * 2_000_000 + b"\r\n\r\nbody")
    assert "longer than" in message.fault
    assert sum(len(field.value) for field in message.fields) <= module.MAX_HEADER_BYTES
    assert message.body == b""


def test_too_many_fields_are_a_fault_and_only_the_first_are_kept() -> None:
    message = split_message(b"A: 1\r\n" * (module.MAX_FIELDS + 5) + b"\r\n")
    assert "more than" in message.fault
    assert len(message.fields) == module.MAX_FIELDS


@pytest.mark.parametrize(
    ("header", "stray"),
    [
        (b"A: 1\r\nB: 2\r\n 3\r\n", b""),
        (b"A: 1\r\nno field\r\nB: 2\r\n", b"no field\r\nB: 2"),
        (b"no field\r\nB: 2\r\n", b"no field\r\nB: 2"),
        (b"A: 1\r\n \t\r\nB: 2\r\n", b"B: 2"),
        (b"A: 1\r\n \r\nno field\r\n", b"no field"),
        (b"A: 1\r\nno field\r\n \r\nB: 2\r\n", b"no field\r\n \r\nB: 2"),
        (b"no: 1\r\nno\r\n", b"no"),
    ],
)
def test_what_some_clients_take_for_the_bodys_beginning_is_known(header: bytes, stray: bytes) -> None:
    assert split_message(header + b"\r\nbody").stray == stray


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text("aA: \t\r\n", max_size=60).map(str.encode))
def test_any_bytes_can_be_split(octets: bytes) -> None:
    message = split_message(octets)
    assert octets.endswith(message.body)
