"""What is said to a hop follows from the envelope and from what the hop offers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.client.lines import (
    Extensions,
    dot_stuffed,
    mail_line,
    needs_smtputf8,
    obstacle,
    rcpt_line,
    read_extensions,
)
from shared.envelope import Body, Envelope, Notify, Recipient, Ret
from tests.unit.services.delivery.envelopes import envelope_of

ALL = Extensions(pipelining=True, size=True, eight_bit=True, smtputf8=True, dsn=True)
NONE = Extensions()
PLAIN = b"Subject: x\r\n\r\nbody\r\n"
EIGHT_BIT = b"Subject: x\r\n\r\nb\xc3\xb6dy\r\n"
UTF8_HEADER = b"Subject: \xc3\xbc\r\n\r\nbody\r\n"


def test_extensions_are_read_whatever_their_case() -> None:
    offered = read_extensions([b"hop.example SIZE", b"pipelining", b"Size 1000", b"8bitmime", b"DSN", b"", b"XODD a"])
    assert offered == Extensions(pipelining=True, size=True, size_limit=1000, eight_bit=True, dsn=True)


@pytest.mark.parametrize("parameter", [b"", b" 0", b" -1", b" x", b" \xb2", b" 9" * 30])
def test_a_size_that_is_no_number_is_no_limit(parameter: bytes) -> None:
    assert read_extensions([b"hop", b"SIZE" + parameter]).size_limit in (0, 9)


@pytest.mark.parametrize(
    ("envelope", "message", "offered", "line"),
    [
        (envelope_of(), PLAIN, NONE, "MAIL FROM:<a@client.example>"),
        (envelope_of(sender=""), PLAIN, NONE, "MAIL FROM:<>"),
        (envelope_of(), PLAIN, ALL, "MAIL FROM:<a@client.example> SIZE=20"),
        (envelope_of(), EIGHT_BIT, ALL, "MAIL FROM:<a@client.example> SIZE=21 BODY=8BITMIME"),
        (envelope_of(), EIGHT_BIT, NONE, "MAIL FROM:<a@client.example>"),
        (envelope_of(smtputf8=True), PLAIN, ALL, "MAIL FROM:<a@client.example> SIZE=20"),
        (
            envelope_of(smtputf8=True),
            UTF8_HEADER,
            ALL,
            "MAIL FROM:<a@client.example> SIZE=21 BODY=8BITMIME SMTPUTF8",
        ),
        (envelope_of(ret=Ret.FULL, envid="x"), PLAIN, ALL, "MAIL FROM:<a@client.example> SIZE=20 RET=FULL ENVID=x"),
        (envelope_of(ret=Ret.FULL, envid="x"), PLAIN, NONE, "MAIL FROM:<a@client.example>"),
        (envelope_of(envid="x\r\nRCPT TO:<evil@x>"), PLAIN, ALL, "MAIL FROM:<a@client.example> SIZE=20"),
    ],
)
def test_mail(envelope: Envelope, message: bytes, offered: Extensions, line: str) -> None:
    assert mail_line(envelope, message, offered) == f"{line}\r\n".encode()


@pytest.mark.parametrize(
    ("recipient", "offered", "line"),
    [
        (Recipient("b@example.org"), ALL, "RCPT TO:<b@example.org>"),
        (Recipient('"b c"@example.org'), ALL, 'RCPT TO:<"b c"@example.org>'),
        (
            Recipient("b@example.org", (Notify.DELAY, Notify.SUCCESS), "rfc822;c@x"),
            ALL,
            "RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@x",
        ),
        (Recipient("b@example.org", (Notify.NEVER,), "rfc822;c@x"), NONE, "RCPT TO:<b@example.org>"),
        (Recipient("b@example.org", (), "rfc822;c d"), ALL, "RCPT TO:<b@example.org>"),
    ],
)
def test_rcpt(recipient: Recipient, offered: Extensions, line: str) -> None:
    assert rcpt_line(recipient, offered) == f"{line}\r\n".encode()


@pytest.mark.parametrize(
    ("envelope", "message", "offered", "enhanced"),
    [
        (envelope_of(), PLAIN, NONE, None),
        (envelope_of(), EIGHT_BIT, NONE, None),
        (envelope_of(), UTF8_HEADER, NONE, None),
        (envelope_of(smtputf8=True), PLAIN, NONE, None),
        (envelope_of(smtputf8=True), EIGHT_BIT, NONE, None),
        (envelope_of(smtputf8=True), UTF8_HEADER, NONE, "5.6.7"),
        (envelope_of("ü@example.org", smtputf8=True), PLAIN, NONE, "5.6.7"),
        (envelope_of("ü@example.org", smtputf8=True), PLAIN, ALL, None),
        (envelope_of(body=Body.BINARY), PLAIN, ALL, "5.6.3"),
        (envelope_of(requiretls=True), PLAIN, ALL, "5.7.30"),
        (envelope_of(), PLAIN, Extensions(size=True, size_limit=len(PLAIN)), None),
        (envelope_of(), PLAIN, Extensions(size=True, size_limit=len(PLAIN) - 1), "5.3.4"),
        (envelope_of("b@example.org>\r\nDATA"), PLAIN, ALL, "5.1.3"),
    ],
)
def test_obstacles(envelope: Envelope, message: bytes, offered: Extensions, enhanced: str | None) -> None:
    refusal = obstacle(envelope, message, offered)
    assert (refusal.enhanced if refusal else None) == enhanced


def test_requiretls_goes_where_the_session_keeps_it() -> None:
    assert obstacle(envelope_of(requiretls=True), PLAIN, NONE, keeps_requiretls=True) is None
    assert mail_line(envelope_of(requiretls=True), PLAIN, Extensions(requiretls=True)).endswith(b" REQUIRETLS\r\n")
    # A socket of this host need not offer it.
    assert b"REQUIRETLS" not in mail_line(envelope_of(requiretls=True), PLAIN, NONE)
    assert b"REQUIRETLS" not in mail_line(envelope_of(), PLAIN, Extensions(requiretls=True))


def test_ehlo_tells_mechanisms_and_requiretls() -> None:
    offered = read_extensions([b"hop.example", b"REQUIRETLS", b"AUTH PLAIN scram-sha-256"])
    assert (offered.requiretls, offered.auth) == (True, frozenset({"PLAIN", "SCRAM-SHA-256"}))


def test_a_message_without_an_empty_line_is_all_header() -> None:
    assert needs_smtputf8(envelope_of(smtputf8=True), b"Subject: \xc3\xbc\r\n")


@pytest.mark.parametrize(
    ("message", "stuffed"),
    [
        (b"a\r\n", b"a\r\n"),
        (b".a\r\n.\r\n..\r\n", b"..a\r\n..\r\n...\r\n"),
        (b"a\r\n\r\n.b", b"a\r\n\r\n..b\r\n"),
        (b"a\r\n.\r\n.\r\n", b"a\r\n..\r\n..\r\n"),
        (b"", b""),
    ],
)
def test_dots_are_stuffed(message: bytes, stuffed: bytes) -> None:
    assert dot_stuffed(message) == stuffed


@given(st.lists(st.text(alphabet=".ab ", max_size=5), min_size=1, max_size=20))
def test_what_is_stuffed_can_be_read_back_and_never_ends_the_data(lines: list[str]) -> None:
    message = "".join(f"{line}\r\n" for line in lines).encode()
    stuffed = dot_stuffed(message)
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed
    back = [line.removeprefix(b".") for line in stuffed.split(b"\r\n")]
    assert b"\r\n".join(back) == message


def test_a_message_without_dots_is_not_copied() -> None:
    assert dot_stuffed(PLAIN) is PLAIN
