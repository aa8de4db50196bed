"""From a quarantined delivery to its row."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.actions.readable import readable
from services.console.held import held_mail, part_of, subject_of
from shared.ids import new_id
from shared.wire import MAIL_TYPE, mail_headers
from tests.integration.console.mail import MESSAGE, NOTE, envelope

DEATH = {"queue": "gatepost.content", "reason": "delivery_limit", "count": 1}


def test_a_mail_with_a_note_is_held_for_its_reason() -> None:
    mail = envelope(new_id())
    row = held_mail(MESSAGE, mail_headers(mail, note=NOTE), MAIL_TYPE, mail.id, 5.0)
    assert (row.id, row.reason, row.check, row.evidence) == (mail.id, NOTE.reason, NOTE.check, NOTE.evidence)
    assert (row.received_at, row.stored_at, row.state) == (mail.received_at, 5.0, "held")


def test_a_mail_that_the_broker_gave_up_is_poison_and_says_where() -> None:
    mail = envelope(new_id())
    row = held_mail(MESSAGE, mail_headers(mail) | {"x-death": [DEATH]}, MAIL_TYPE, mail.id, 5.0)
    assert row.reason == "poison"
    assert "gatepost.content" in row.evidence
    assert json.loads(row.headers)["x-death"] == [DEATH]


def test_a_note_outranks_what_the_broker_says() -> None:
    headers: dict[str, object] = dict(mail_headers(envelope(new_id()), note=NOTE))
    assert held_mail(MESSAGE, headers | {"x-death": [DEATH]}, MAIL_TYPE, None, 5.0).reason == NOTE.reason


def test_what_has_no_envelope_keeps_its_message_id_or_gets_a_stable_name() -> None:
    assert held_mail(b"x", {}, None, "m1", 5.0).id == "m1"
    first, second = held_mail(b"x", {}, None, None, 5.0), held_mail(b"x", {}, None, "m" * 50, 6.0)
    assert first.id == second.id
    assert first.part == second.part
    assert first.id != held_mail(b"y", {}, None, None, 5.0).id


def test_copies_for_other_recipients_or_another_reason_are_told_apart() -> None:
    mail = envelope("a1")
    other = held_mail(MESSAGE, mail_headers(envelope("a1", "b@gatepost.test"), note=NOTE), MAIL_TYPE, None, 5.0)
    first = held_mail(MESSAGE, mail_headers(mail, note=NOTE), MAIL_TYPE, None, 5.0)
    later = held_mail(MESSAGE, mail_headers(mail, note=replace(NOTE, reason="other")), MAIL_TYPE, None, 5.0)
    assert len({first.part, other.part, later.part}) == 3


def test_the_order_of_recipients_makes_no_other_copy() -> None:
    assert part_of("a@x, b@x", "r") == part_of("b@x, a@x", "r")


@given(
    st.binary(max_size=300),
    st.dictionaries(
        st.sampled_from(["envelope", "quarantine", "x-death", "other"]), st.binary() | st.text() | st.none()
    ),
    st.sampled_from([MAIL_TYPE, None, "other"]),
    st.none() | st.text(max_size=50),
)
def test_whatever_comes_has_a_row(
    body: bytes, headers: dict[str, object], message_type: str | None, message_id: str | None
) -> None:
    row = held_mail(body, headers, message_type, message_id, 5.0)
    assert row.message == body
    assert 0 < len(row.id) <= 40
    assert "\0" not in row.id + row.reason + row.evidence + row.headers + (row.subject or "")


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        (b"Subject: plain\r\n\r\nSubject: not this\r\n", "plain"),
        (b"From: a\r\nSUBJECT: folded\r\n over two\r\n\r\n", "folded over two"),
        (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n", "Grüße"),
        (b"Subject: =?nonsense?q?x?=\r\n\r\n", "=?nonsense?q?x?="),
        (b"\r\nSubject: in the body\r\n", None),
        (b"", None),
    ],
)
def test_subject(message: bytes, subject: str | None) -> None:
    assert subject_of(message) == subject


def test_the_first_text_of_a_message_is_shown_decoded() -> None:
    message = (
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n--b--\r\n"
    )
    assert readable(message).body == ("Grüße",)


@pytest.mark.parametrize(
    "message",
    [
        b"Content-Type: text/plain; charset=nonsense\r\n\r\nhello",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 500 + b"hello",
        b"Subject: x\r\n\r\n" + b"y" * 400_000 + b"\r\nhello",
        b"\0\xff",
    ],
)
def test_what_cannot_be_taken_apart_is_shown_as_it_is(message: bytes) -> None:
    shown = readable(message)
    assert len(shown.body) <= 201
    assert all(len(line) < 600 for line in shown.body)
