"""The DKIM-Signature field itself. (That others find the signatures right: tests/integration/delivery/test_dkim.py.)"""

import re
from collections.abc import Mapping

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.outgoing.signature import signature_fields, signed_names
from services.delivery.outgoing.signer import _digest_in_pieces
from services.delivery.outgoing.signing_key import signatories
from shared.auth.message import split_message
from shared.dkim_keys import KeyAlgorithm, KeyState
from tests.unit.services.delivery.outgoing.keys import key_of, record

NOW = 1_790_000_000.0
HEADER = (
    b"Received: from a.example\r\n\tby b.example; Mon, 24 Nov 2026 10:00:00 +0000\r\n"
    b"From: Joe  <joe@example.org>\r\nTo: amy@example.net\r\nSubject: a \t folded\r\n  subject\r\n"
    b"Date: Mon, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
)
KEYS = [key_of("s-rsa", KeyAlgorithm.RSA), key_of("s-ed")]
RECORDS = {f"{key.name}.".encode(): record(key).encode() for key in KEYS}


def signed(message: bytes, **states: object) -> bytes:
    found, _ = signatories(KEYS)
    keys = [candidates[0] for candidates in found["example.org"]]
    split = split_message(message)
    return signature_fields(split, _digest_in_pieces(split.body), keys, NOW) + message


def holds(message: bytes, records: Mapping[bytes, bytes] = RECORDS) -> list[bool]:
    """Return what dkimpy says of both signatures."""
    verifier = dkim.DKIM(message)
    found = []
    for at in range(2):
        try:
            found.append(verifier.verify(idx=at, dnsfunc=lambda name, timeout=5: records.get(name)))
        except dkim.DKIMException:
            found.append(False)
    return found


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    # dkimpy looks at the clock for x=, and has no way to be given the time.
    monkeypatch.setattr("dkim.time.time", lambda: NOW)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"Hello  you, \r\n\tx\t \r\n\r\n\r\n", b"no end", b"\xff\x00\r\n"])
def test_dkimpy_finds_both_signatures_right(body: bytes) -> None:
    message = signed(HEADER + b"\r\n" + body)
    assert holds(message) == [True, True]
    assert holds(message + b"P.S.\r\n") == [False, False]
    assert holds(message.replace(b"Joe  <", b"Eve <")) == [False, False]


@pytest.mark.parametrize(
    "field", [b"From: eve@evil.test", b"Subject: other", b"Reply-To: eve@evil.test", b"Content-Type: text/html"]
)
def test_a_field_that_a_reader_would_see_cannot_be_added(field: bytes) -> None:
    assert holds(field + b"\r\n" + signed(HEADER + b"\r\nHello\r\n")) == [False, False]


def test_trace_fields_may_be_added_on_the_way() -> None:
    assert holds(b"Received: by c\r\nSender: list@l.test\r\n" + signed(HEADER + b"\r\nHello\r\n")) == [True, True]


def test_fields_are_signed_once_more_than_they_are_there() -> None:
    names = signed_names(split_message(HEADER + b"Received: x\r\nSender: y\r\n\r\n").fields)
    assert names.count(b"from") == 2
    assert names.count(b"reply-to") == 1
    assert names.count(b"sender") == 2
    assert names.count(b"received") == names.count(b"list-id") == names.count(b"return-path") == 0


def test_the_field_says_when_it_was_made_and_until_when_it_holds() -> None:
    message = signed(HEADER + b"\r\n")
    first, second = re.findall(rb"DKIM-Signature:(?:[^\r]|\r\n[ \t])*\r\n", message)
    assert b" v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\r\n\ts=s-rsa; t=1790000000; x=1790604800;" in first
    assert b"a=ed25519-sha256;" in second
    assert all(len(line) <= 78 for line in message.partition(HEADER)[0].split(b"\r\n"))


def test_no_signature_outlives_the_record_of_a_retired_key() -> None:
    keys = [key_of("new"), key_of("old", state=KeyState.RETIRED, keep_until=NOW + 7200)]
    found, _ = signatories(keys)
    split = split_message(HEADER + b"\r\n")
    assert b"x=1790007200;" in signature_fields(split, b"", [found["example.org"][0][1]], NOW)


NAMES = st.sampled_from([b"From", b"to", b"SUBJECT", b"X-Other", b"List-ID", b"Sender", b"Date"])
VALUES = st.text(st.sampled_from("ab \t\u00fc:;=<@>,"), max_size=30).map(str.encode)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.binary(max_size=60))
def test_whatever_is_signed_holds(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    body = body.replace(b"\r", b"").replace(b"\n", b"\r\n")
    header = b"".join(name + b": x" + value + b"\r\n" for name, value in fields)
    assert holds(signed(b"From: joe@example.org\r\n" + header + b"\r\n" + body)) == [True, True]
