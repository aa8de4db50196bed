"""A delivery status notification says what happened, to machines and to people, and lets nobody break its form."""

from email import message_from_bytes
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.dsn import FULL_UNASKED_BYTES, Reporter, write_dsn
from services.delivery.dsn_text import advice, host_of, subject_of
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


def _text(dsn: bytes) -> str:
    payload = _parts(dsn)[0].get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


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


def test_a_message_that_asked_for_tls_does_not_come_back_whole() -> None:
    _, dsn = _write(envelope_of(requiretls=True, ret=Ret.FULL))
    assert _parts(dsn)[2].get_content_type() == "text/rfc822-headers"


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


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("5.1.1", "spelling"),
        ("5.1.10", "spelling"),
        ("5.2.1", "switched off"),
        ("5.2.2", "another way"),
        ("5.3.4", "link to the file"),
        ("5.4.7", "could not be reached"),
        ("5.6.0", "another form"),
        ("5.7.1", "show them to your postmaster"),
        ("5.7.30", "REQUIRETLS"),
        ("5.0.0", "postmaster"),
    ],
)
def test_advice_fits_the_failure(code: str, part: str) -> None:
    assert part in advice(outcome_of(Recipient("b@example.org"), Reply(550, code, "no")))


def test_a_domain_without_mail_is_told_apart_from_an_unknown_recipient() -> None:
    null_mx = outcome_of(Recipient("b@example.org"), Reply(556, "5.1.10", "no mail here"), remote=False)
    assert "does not take mail at all" in advice(null_mx)


def test_the_server_that_said_it_is_named_to_machines_and_to_people() -> None:
    outcome = outcome_of(Recipient("b@example.org"), NO)
    notice = Notice(Action.FAILED, (outcome,), "mx.example.org [192.0.2.1]:25")
    _, dsn = write_dsn(notice, envelope_of(), MESSAGE, REPORTER, ID)
    assert _groups(dsn)[1]["Remote-MTA"] == "dns; mx.example.org"
    assert b"The mail server mx.example.org said: 550 5.1.1 no such user" in dsn


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("mx.example [192.0.2.1]:25", "mx.example"),
        ("[192.0.2.1]:25", "[192.0.2.1]"),
        ("[2001:db8::1]:25", "[2001:db8::1]"),
        ("/run/dovecot/lmtp", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_peer(peer: str, host: str) -> None:
    assert host_of(peer) == host


def test_a_failure_says_what_happened_and_what_it_is_about() -> None:
    text = _text(_write(envelope_of(), b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n an alle\r\n\r\nbody\r\n")[1])
    assert "Subject: Grüße an alle\r\n" in text
    assert "Accepted: Mon, 21 Sep 2026 14:12:20 +0000\r\n" in text
    assert "What happened: There is no mailbox for this address.\r\n" in text


def test_a_message_given_up_says_for_how_long_it_was_tried() -> None:
    outcome = Outcome(Recipient("b@example.org"), Status.FAILED, Reply(451, "4.4.1", "unreachable"), remote=False)
    _, dsn = write_dsn(Notice(Action.FAILED, (outcome,)), envelope_of(), MESSAGE, REPORTER, ID)
    text = " ".join(_text(dsn).split())
    assert "No way to the recipient's mail server was found. It was tried again for 5 days." in text


def test_the_sender_of_mail_to_an_alias_reads_the_address_that_was_written_to() -> None:
    recipient = Recipient("carol@elsewhere.example", (), "rfc822;info+2Bx@example.org")
    dsn = _write(envelope_of(recipient))[1]
    assert "<carol@elsewhere.example> (you wrote to info+x@example.org)" in _text(dsn)
    one = _groups(dsn)[1]
    assert one["Original-Recipient"] == "rfc822; info+x@example.org"
    assert one["Final-Recipient"] == "rfc822; carol@elsewhere.example"


def test_an_alias_of_several_has_the_action_of_its_own() -> None:
    dsn = _write(envelope_of(), reply=Reply(250, "2.1.5", "ok"), action=Action.EXPANDED, remote=False)[1]
    assert (_groups(dsn)[1]["Action"], _groups(dsn)[1]["Status"]) == ("expanded", "2.1.5")


def test_a_sender_who_speaks_no_utf_8_gets_the_ascii_forms_of_an_address_behind_an_alias() -> None:
    envelope, dsn = _write(envelope_of(Recipient("jürgen+x@example.org", (), "rfc822;info@example.org")))
    assert not envelope.smtputf8
    assert _parts(dsn)[1].get_content_type() == "message/delivery-status"
    assert _groups(dsn)[1]["Final-Recipient"] == "utf-8; j\\x{FC}rgen\\x{2B}x@example.org"


def test_every_word_of_a_long_reply_reaches_the_person_in_lines_of_a_bearable_length() -> None:
    said = "very " * 60 + "x" * 150 + " end"
    text = _text(_write(envelope_of(), reply=Reply(550, "5.7.1", said))[1])
    assert " ".join(said.split()) in " ".join(text.split())
    assert all(len(line) < 160 for line in text.split("\r\n"))


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (b"From: x\r\nSUBJECT:hello\r\n there\r\n", "hello there"),
        (b"From: x\r\n", ""),
        (b"", ""),
        (b"Subject: =?utf-8?q?a=0D=0Ab?=\r\n", "a b"),
        (b"Subject: =?nonsense?q?a?=\r\n", "=?nonsense?q?a?="),
        (b"Subject: " + b"x" * 500 + b"\r\n", "x" * 200 + "…"),
    ],
)
def test_the_subject_is_read_whatever_it_is(header: bytes, subject: str) -> None:
    assert subject_of(header) == subject


def test_a_report_on_mail_with_requiretls_asks_for_it_and_any_other_does_not() -> None:
    assert _write(envelope_of(requiretls=True))[0].requiretls
    assert not _write(envelope_of())[0].requiretls


@pytest.mark.parametrize(("field", "told"), [(b"", None), (b"TLS-Required: No\r\n", "No")])
def test_a_report_waives_tls_where_the_message_did(field: bytes, told: str | None) -> None:
    _, dsn = _write(envelope_of(), field + MESSAGE)
    assert message_from_bytes(dsn)["TLS-Required"] == told
