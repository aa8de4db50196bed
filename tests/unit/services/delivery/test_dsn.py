"""A delivery status notification says what happened, to machines and to people, and lets nobody break its form."""

from email import message_from_bytes
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.dsn import FULL_UNASKED_BYTES, Reporter, decode_xtext, write_dsn
from services.delivery.dsn_text import advice
from services.delivery.outcome import Outcome, Status, outcome_of
from services.delivery.plan import Action, Notice
from shared.envelope import Body, Envelope, Notify, Proof, Recipient, Ret
from shared.reply import Reply
from tests.unit.services.delivery.envelopes import NOW, envelope_of

ID = "01m85t0eqgexc9bk1tptb1bxdd"
MESSAGE = b"From: a@client.example\r\nSubject: hello\r\n\r\nbody\r\n"
REPORTER = Reporter("gate.example", NOW, 432_000)
NO = Reply(550, "5.1.1", "no such user")


def _write(
    envelope: Envelope,
    message: bytes = MESSAGE,
    reply: Reply = NO,
    action: Action = Action.FAILED,
    *,
    remote: bool = True,
) -> tuple[Envelope, bytes]:
    outcomes = tuple(outcome_of(to, reply, remote=remote) for to in envelope.recipients)
    return write_dsn(Notice(action, outcomes), envelope, message, REPORTER, ID)


def _parts(dsn: bytes) -> list[Message]:
    report = message_from_bytes(dsn)
    assert report.get_content_type() == "multipart/report"
    parts = report.get_payload()
    assert isinstance(parts, list)
    return parts  # type: ignore[return-value]


def _groups(dsn: bytes) -> list[Message]:
    groups = _parts(dsn)[1].get_payload()
    assert isinstance(groups, list)
    return groups  # type: ignore[return-value]


def test_it_goes_to_the_sender_from_nobody() -> None:
    envelope, dsn = _write(envelope_of())
    assert (envelope.id, envelope.sender, envelope.proved) == (ID, "", Proof.GATEWAY)
    assert envelope.recipients == (Recipient("a@client.example", (Notify.NEVER,)),)
    assert envelope.parent == envelope_of().id
    assert envelope.size_bytes == len(dsn)
    head = message_from_bytes(dsn)
    assert (head["To"], head["Auto-Submitted"]) == ("<a@client.example>", "auto-replied")
    assert head["Message-ID"] == f"<{ID}@gate.example>"


def test_machines_read_it() -> None:
    recipient = Recipient("b@example.org", (), "rfc822;B+2Bx@example.org")
    _, dsn = _write(envelope_of(recipient, envid="QQ+3D1"))
    about, one = _groups(dsn)
    assert (about["Reporting-MTA"], about["Original-Envelope-Id"]) == ("dns; gate.example", "QQ=1")
    assert about["Arrival-Date"] == "Mon, 21 Sep 2026 14:12:20 +0000"
    assert dict(one.items()) == {
        "Original-Recipient": "rfc822; B+x@example.org",
        "Final-Recipient": "rfc822; b@example.org",
        "Action": "failed",
        "Status": "5.1.1",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Last-Attempt-Date": "Mon, 21 Sep 2026 14:13:20 +0000",
        "Final-Log-ID": envelope_of().id,
    }


def test_people_read_what_the_hop_said_and_what_to_do() -> None:
    text = _parts(_write(envelope_of())[1])[0].get_payload()
    assert isinstance(text, str)
    assert "The next mail server said: 550 5.1.1 no such user" in text
    assert "What you can do: Check the spelling of the address" in text
    assert envelope_of().id in text


def test_our_own_words_are_no_diagnostic_of_the_hop() -> None:
    _, dsn = _write(envelope_of(), reply=Reply(550, "5.1.2", "no such domain"), remote=False)
    assert "Diagnostic-Code" not in _groups(dsn)[1]
    assert b"The reason: 550 5.1.2 no such domain" in dsn


def test_each_recipient_has_its_group() -> None:
    _, dsn = _write(envelope_of("b@example.org", "c@example.org"))
    assert [group["Final-Recipient"] for group in _groups(dsn)[1:]] == [
        "rfc822; b@example.org",
        "rfc822; c@example.org",
    ]


@pytest.mark.parametrize(
    ("action", "ret", "size", "full"),
    [
        (Action.FAILED, None, 100, True),
        (Action.FAILED, None, FULL_UNASKED_BYTES + 1, False),
        (Action.FAILED, Ret.FULL, FULL_UNASKED_BYTES + 1, True),
        (Action.FAILED, Ret.HEADERS, 100, False),
        (Action.DELAYED, Ret.FULL, 100, False),
        (Action.RELAYED, Ret.FULL, 100, False),
    ],
)
def test_what_comes_back(action: Action, ret: Ret | None, size: int, full: bool) -> None:
    message = MESSAGE + b"x" * size + b"\r\n"
    _, dsn = _write(envelope_of(ret=ret), message, action=action)
    original = _parts(dsn)[2]
    if full:
        assert original.get_content_type() == "message/rfc822"
        assert message in dsn
    else:
        assert original.get_content_type() == "text/rfc822-headers"
        assert original.get_payload() == "From: a@client.example\r\nSubject: hello\r\n"


def test_a_delay_tells_until_when_it_is_tried() -> None:
    _, dsn = _write(envelope_of(), reply=Reply(451, "4.2.1", "later"), action=Action.DELAYED)
    group = _groups(dsn)[1]
    assert (group["Action"], group["Status"]) == ("delayed", "4.2.1")
    assert group["Will-Retry-Until"] == "Sat, 26 Sep 2026 14:12:20 +0000"
    assert "What you can do" not in str(_parts(dsn)[0])


def test_what_was_given_up_has_a_permanent_status() -> None:
    outcome = Outcome(Recipient("b@example.org"), Status.FAILED, Reply(451, "4.4.1", "unreachable"), remote=False)
    _, dsn = write_dsn(Notice(Action.FAILED, (outcome,)), envelope_of(), MESSAGE, REPORTER, ID)
    assert _groups(dsn)[1]["Status"] == "5.4.1"


def test_an_internationalized_address_has_the_forms_of_rfc_6533() -> None:
    envelope, dsn = _write(envelope_of("jürgen@example.org", smtputf8=True))
    assert envelope.smtputf8
    assert envelope.body is Body.EIGHT_BIT
    assert [part.get_content_type() for part in _parts(dsn)] == [
        "text/plain",
        "message/global-delivery-status",
        "message/global",
    ]
    assert "Final-Recipient: utf-8; jürgen@example.org".encode() in dsn


def test_an_8_bit_body_is_no_internationalized_message() -> None:
    envelope, dsn = _write(envelope_of(), "Subject: x\r\n\r\ngrüße\r\n".encode())
    assert envelope.body is Body.EIGHT_BIT
    assert not envelope.smtputf8
    assert _parts(dsn)[2].get_content_type() == "message/rfc822"


hostile = st.text(alphabet=st.sampled_from("a=;+0DA\r\n\x00\u2028 ü-"), max_size=40)


@given(envid=hostile, orcpt=hostile, said=hostile)
def test_nothing_from_outside_can_break_its_form(envid: str, orcpt: str, said: str) -> None:
    recipient = Recipient("b@example.org", (), f"rfc822;{orcpt}")
    _, dsn = _write(envelope_of(recipient, envid=envid), reply=Reply(550, "5.1.1", said))
    assert b"\n" not in dsn.replace(b"\r\n", b"")
    assert b"\r" not in dsn.replace(b"\r\n", b"")
    assert len(_parts(dsn)) == 3
    about, one = _groups(dsn)
    assert set(about.keys()) <= {"Reporting-MTA", "Original-Envelope-Id", "Arrival-Date"}
    assert len(one.keys()) == 7
    assert all(len(line) <= 998 for line in dsn.split(b"\r\n"))


def test_xtext_is_decoded_but_cannot_break_a_line() -> None:
    assert decode_xtext("a+2Bb+0D+0AEvil: x") == "a+b Evil: x"


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("5.1.1", "spelling"),
        ("5.1.10", "does not take mail"),
        ("5.4.7", "could not be reached"),
        ("5.0.0", "postmaster"),
    ],
)
def test_advice_fits_the_status(code: str, part: str) -> None:
    assert part in advice(code)
