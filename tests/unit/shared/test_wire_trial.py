"""The wire form of trials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.envelope import Client, Direction, Envelope, Recipient
from shared.verdict import Action
from shared.wire import MAIL_TYPE, WireError, mail_headers, read_envelope
from shared.wire_trial import (
    ANSWER_LIMIT_BYTES,
    TRIAL_TYPE,
    Trial,
    TrialAnswer,
    decode_answer,
    encode_answer,
    read_trial,
    trial_headers,
)

ENVELOPE = Envelope(
    "0123", 1.0, "mx", Direction.INBOUND, Client("192.0.2.1", 0, "h.test"), "a@b.test", (Recipient("c@d.test"),), 5
)
TRIAL = Trial(ENVELOPE, "key")
HEADERS = {
    "envelope": '{"id":"0123","received_at":1.0,"listener":"mx","direction":"inbound","client":{"address":"192.0.2.1",'
    '"port":0,"helo":"h.test"},"sender":"a@b.test","recipients":[{"address":"c@d.test"}],"size_bytes":5}',
    "reply_key": "key",
}
ANSWER = TrialAnswer(
    "0123", 7, 1.5, ({"check": "spf"},), {"d.test": {"action": "refuse"}}, Action.REFUSE, "550 5.7.1 no [ID]"
)
ANSWER_BYTES = (
    b'{"id":"0123","policy_version":7,"took_ms":1.5,"findings":[{"check":"spf"}],"verdicts":{"d.test":{"action":'
    b'"refuse"}},"action":"refuse","reply":"550 5.7.1 no [ID]","problem":""}'
)


def test_the_bytes_of_v1_do_not_change() -> None:
    assert trial_headers(TRIAL) == HEADERS
    assert encode_answer(ANSWER) == ANSWER_BYTES


def test_what_is_written_is_read_back() -> None:
    assert read_trial(TRIAL_TYPE, HEADERS) == TRIAL
    assert decode_answer(ANSWER_BYTES) == ANSWER


def test_a_trial_is_no_mail_and_mail_is_no_trial() -> None:
    with pytest.raises(WireError, match="type"):
        read_envelope(TRIAL_TYPE, trial_headers(TRIAL))
    with pytest.raises(WireError, match="type"):
        read_trial(MAIL_TYPE, mail_headers(ENVELOPE))


@pytest.mark.parametrize("key", [None, "", "x" * 101, 7])
def test_a_trial_without_a_key_to_answer_to_is_none(key: object) -> None:
    with pytest.raises(WireError, match="reply_key"):
        read_trial(TRIAL_TYPE, HEADERS | {"reply_key": key})


def test_an_answer_that_is_too_long_says_so_instead() -> None:
    long = TrialAnswer("0123", reply="250", findings=({"evidence": "x" * ANSWER_LIMIT_BYTES},))
    body = encode_answer(long)
    assert len(body) < 1000
    assert "too many to tell" in decode_answer(body).problem
    with pytest.raises(WireError, match="octets"):
        decode_answer(b" " * (ANSWER_LIMIT_BYTES + 1))


@given(st.binary(max_size=300))
def test_whatever_comes_is_an_answer_or_a_wire_error(body: bytes) -> None:
    try:
        decode_answer(body)
    except WireError:
        pass
