"""A notice that bears a whole message becomes one that bears its header, once."""

from email import message_from_bytes

import pytest

from services.delivery.dsn import Reporter, write_dsn
from services.delivery.dsn_shorter import with_header_alone
from services.delivery.outcome import outcome_of
from services.delivery.plan import Action, Notice
from shared.envelope import Envelope, Ret
from shared.reply import Reply
from tests.unit.services.delivery.envelopes import NOW, envelope_of

ID = "01m85t0eqgexc9bk1tptb1bxdd"
HEADER = b"From: a@client.example\r\nSubject: hello\r\n"
# A message that shows the mark of a report, and is one of another, must not mislead.
BODY = b"--=_01m85t0eqgexc9bk1tptb1bxde\r\nContent-Type: message/rfc822\r\n\r\nX: y\r\n\r\n" + b"z" * 5000 + b"\r\n"


def _written(about: Envelope, message: bytes = HEADER + b"\r\n" + BODY) -> tuple[Envelope, bytes]:
    outcomes = tuple(outcome_of(to, Reply(550, "5.1.1", "no such user")) for to in about.recipients)
    return write_dsn(Notice(Action.FAILED, outcomes), about, message, Reporter("gate.example", NOW, 432_000), ID)


@pytest.mark.parametrize(
    ("changes", "header", "kind"),
    [
        ({}, HEADER, "text/rfc822-headers"),
        ({"smtputf8": True}, "From: ä@client.example\r\n".encode(), "message/global-headers"),
    ],
)
def test_it_is_the_same_notice_with_the_header_alone(changes: dict[str, object], header: bytes, kind: str) -> None:
    envelope, whole = _written(envelope_of(ret=Ret.FULL, **changes), header + b"\r\n" + BODY)
    shorter = with_header_alone(envelope, whole)
    assert shorter is not None
    asked, by_header = shorter
    _, as_asked = _written(envelope_of(ret=Ret.HEADERS, **changes), header + b"\r\n" + BODY)
    assert by_header == as_asked
    assert message_from_bytes(by_header).get_payload()[2].get_content_type() == kind  # type: ignore[index, union-attr]
    assert (asked.id, asked.size_bytes) == (envelope.id, len(by_header))


def test_it_becomes_shorter_once() -> None:
    shorter = with_header_alone(*_written(envelope_of(ret=Ret.FULL)))
    assert shorter is not None
    assert with_header_alone(*shorter) is None


@pytest.mark.parametrize(
    "other",
    [
        b"From: a@b.example\r\n\r\nhello\r\n",
        b'A: b\r\nContent-Type: multipart/report; x\r\n boundary="=_zz"\r\n\r\n--=_yy\r\n',
        b'A: b\r\nContent-Type: multipart/report; x\r\n boundary="=_zz"\r\n\r\n--=_zz\r\nContent-Type: message/rfc822',
    ],
)
def test_what_is_no_notice_of_ours_stays_as_it_is(other: bytes) -> None:
    assert with_header_alone(envelope_of(), other) is None
