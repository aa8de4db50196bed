"""Rules of spamd's answers: what is said, and that all else is an error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.spamc import SpamdAnswer, SpamdError, read_answer

GOOD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\nSpam: True ; 15.5 / 5.0\r\n\r\nhello"


def test_a_score_and_a_body() -> None:
    assert read_answer(GOOD) == SpamdAnswer(15.5, frozenset({"Content-length", "Spam"}), "hello")


@pytest.mark.parametrize(
    "answer",
    [b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n", b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n"],
)
def test_an_answer_to_tell_has_no_score_and_no_length(answer: bytes) -> None:
    assert read_answer(answer) == SpamdAnswer(None, frozenset({"DidSet"}), "")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"garbage",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SPAMD/1.1 0\r\n\r\n",
        b"SPAMD/1.1 zero EX_OK\r\n\r\n",
        b"SPAMD/1.0 76 Bad header line: SNIFF SPAMC/1.5\r\n",
        b"SPAMD/1.1 69 TELL commands are not enabled\r\n\r\n",
        GOOD[:-1],
        GOOD + b"x",
        GOOD.replace(b"5\r", b"-5\r"),
        GOOD.replace(b"15.5", b"nan"),
        GOOD.replace(b"15.5", b"1e400"),
        GOOD.replace(b"15.5", b"99999999"),
        GOOD.replace(b"True", b"Perhaps"),
        GOOD.replace(b"Spam:", b"Sp\xffam:"),
        GOOD.replace(b"Spam:", b"Spam: \xff"),
        b"SPAMD/1.1 0 EX_OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n" + b"a: b\r\n" * 1000,
        b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_whatever_is_no_such_answer_is_an_error_that_is_safe_to_show(answer: bytes) -> None:
    with pytest.raises(SpamdError) as caught:
        read_answer(answer)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=120), st.integers(0, len(GOOD)))
def test_no_octets_do_more_than_be_an_error(octets: bytes, at: int) -> None:
    for answer in (octets, GOOD[:at] + octets + GOOD[at:], GOOD[:at] + octets):
        with contextlib.suppress(SpamdError):
            read_answer(answer)
