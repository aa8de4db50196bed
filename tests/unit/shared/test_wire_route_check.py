"""The wire form of route checks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire import WireError
from shared.wire_route_check import (
    ROUTE_CHECK_TYPE,
    CertificateSeen,
    HostSeen,
    Reached,
    RouteAnswer,
    RouteQuestion,
    RouteSeen,
    decode_route_answer,
    decode_route_question,
    encode_route_answer,
    encode_route_question,
)
from shared.wire_verify import VERIFY_TYPE, VerifyResult

QUESTION = RouteQuestion("0123", "key", "a.test")
QUESTION_BYTES = b'{"id":"0123","reply_key":"key","domain":"a.test"}'
CERTIFICATE = CertificateSeen("CN=h", "CN=i", ("h.test",), 1.0, 2.0, "ab", self_signed=True)
HOST = HostSeen(
    "h.test [192.0.2.1]:25",
    Reached.YES,
    ("h.test",),
    "",
    "TLSv1.3 X",
    "us",
    CERTIFICATE,
    VerifyResult.TAKEN,
    "250 ok",
    "verified",
)
ANSWER = RouteAnswer("0123", "a.test", "gate.test", (RouteSeen("smtp://h.test:25", "verified", (HOST,)),))
ANSWER_BYTES = (
    b'{"id":"0123","domain":"a.test","our_name":"gate.test","routes":[{"route":"smtp://h.test:25","tls":"verified",'
    b'"hosts":[{"target":"h.test [192.0.2.1]:25","reached":"yes","names":["h.test"],"cause":"","tls":"TLSv1.3 X",'
    b'"login":"us","certificate":{"subject":"CN=h","issuer":"CN=i","names":["h.test"],"not_before":1.0,'
    b'"not_after":2.0,"fingerprint":"ab","self_signed":true},"postmaster":"taken","reply":"250 ok","security":"verified"}],"problem":"",'
    b'"temporary":false}],"problem":""}'
)


def test_the_bytes_of_v1_do_not_change() -> None:
    assert encode_route_question(QUESTION) == QUESTION_BYTES
    assert encode_route_answer(ANSWER) == ANSWER_BYTES


def test_what_is_written_is_read_back() -> None:
    assert decode_route_question(ROUTE_CHECK_TYPE, QUESTION_BYTES) == QUESTION
    assert decode_route_answer(ANSWER_BYTES) == ANSWER


def test_unknown_fields_of_a_later_v1_are_ignored() -> None:
    assert decode_route_answer(ANSWER_BYTES.replace(b'{"id"', b'{"more":1,"id"', 1)) == ANSWER


@pytest.mark.parametrize(
    ("kind", "body", "cause"),
    [
        (VERIFY_TYPE, QUESTION_BYTES, "expected"),
        (ROUTE_CHECK_TYPE, b"{}", "id"),
        (ROUTE_CHECK_TYPE, QUESTION_BYTES.replace(b"key", b"k" * 200, 2), "reply_key"),
    ],
)
def test_what_is_no_question_is_refused_with_the_reason(kind: str, body: bytes, cause: str) -> None:
    with pytest.raises(WireError, match=cause):
        decode_route_question(kind, body)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (lambda: decode_route_question(ROUTE_CHECK_TYPE, body), lambda: decode_route_answer(body)):
        try:
            read()
        except WireError:
            continue
