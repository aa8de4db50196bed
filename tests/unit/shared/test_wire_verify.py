"""Rules of the wire form of recipient verification: golden bytes that must be read for ever, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire import WireError
from shared.wire_verify import (
    VERIFY_TYPE,
    VerifyAnswer,
    VerifyQuestion,
    VerifyResult,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)

GOLDEN = Path(__file__).parent / "golden"
ID = "01jc4x8f3q2m9v7d5k0n6b1ets"
QUESTION = VerifyQuestion(ID, "0123abcd", "bob@ours.test")
ANSWER = VerifyAnswer(ID, "bob@ours.test", VerifyResult.REFUSED, "550 5.1.1 no such user")


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes().rstrip(b"\n")


def test_the_golden_question_is_read_and_written_for_ever() -> None:
    assert decode_question(VERIFY_TYPE, golden("verify-v1.json")) == QUESTION
    assert encode_question(QUESTION) == golden("verify-v1.json")


def test_the_golden_answer_is_read_and_written_for_ever() -> None:
    assert decode_answer(golden("verified-v1.json")) == ANSWER
    assert encode_answer(ANSWER) == golden("verified-v1.json")


def test_a_reader_ignores_what_it_does_not_know() -> None:
    assert decode_question(VERIFY_TYPE, golden("verify-v1.json")[:-1] + b',"new":1}') == QUESTION


@pytest.mark.parametrize("message_type", [None, "", "gatepost.verify.v2", "gatepost.mail.v1"])
def test_another_type_is_no_question(message_type: str | None) -> None:
    with pytest.raises(WireError, match="type is"):
        decode_question(message_type, golden("verify-v1.json"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"id":"a","reply_key":"k"}',
        b'{"id":"a","reply_key":"","recipient":"a@b"}',
        b'{"id":"a","reply_key":"' + b"k" * 101 + b'","recipient":"a@b"}',
        b'{"id":"a","reply_key":"k","recipient":"' + b"a" * 321 + b'"}',
    ],
)
def test_what_is_no_question_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        decode_question(VERIFY_TYPE, body)


@given(st.binary(max_size=200))
def test_no_octets_do_more_than_raise(body: bytes) -> None:
    for decode in (lambda octets: decode_question(VERIFY_TYPE, octets), decode_answer):
        with pytest.raises(WireError):
            decode(body)
