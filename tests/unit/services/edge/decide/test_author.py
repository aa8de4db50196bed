"""A login sends under its own addresses only, as readers see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.decide.author import judge_author
from services.edge.decide.refusal import RefusalReason
from services.edge.header import SCAN_BYTES, Authors, read_authors
from shared.accounts import Account

ALICE = Account("alice@ours.test", None, ("alice@ours.test", "@desk.test"))


def judged(header: str | bytes, body: bytes = b"x") -> str | None:
    octets = b"Received: ours\r\n" + (header.encode() if isinstance(header, str) else header) + b"\r\n" + body
    refusal = judge_author(ALICE, read_authors(octets, len(b"Received: ours\r\n")))
    if refusal is None:
        return None
    assert (refusal.reason, refusal.reply.code) == (RefusalReason.FROM_NOT_OWNED, 553)
    return refusal.reply.text.partition(" ")[0]


@pytest.mark.parametrize(
    "header",
    [
        "From: alice@ours.test\r\n",
        "from:alice@ours.test\r\n",
        "FROM : <Alice@OURS.test>\r\n",
        'Subject: x\r\nFrom: "Doe, Alice" <alice@ours.test>\r\n',
        'From: "ceo@evil.test" <alice@ours.test>\r\n',
        "From: =?utf-8?q?Alice?=\r\n <alice@ours.test>\r\n",
        "From: Alice (at home (again)) <alice@ours.test> (comment)\r\n",
        "From: alice(comment)@ours.test\r\n",
        'From: "alice"@ours.test\r\n',
        "From: alice@ours.test, Desk <whoever@desk.test>\r\nSender: alice@ours.test\r\n",
        "From: Us: alice@ours.test, any@desk.test;\r\n",
        "From: \u00e4@desk.test\r\n",
        # Not a field of the header, whatever it looks like.
        "From: alice@ours.test\r\nSubject: a\r\n From: evil@evil.test\r\n",
        "From: alice@ours.test\r\n\r\nFrom: evil@evil.test\r\n",
        "X-From: evil@evil.test\r\nFrom: alice@ours.test\r\n",
    ],
)
def test_own_addresses_are_taken_however_they_are_written(header: str) -> None:
    assert judged(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "From: bob@ours.test\r\n",
        "From: alice@ours.test.evil.test\r\n",
        "From: Alice <alice@ours.test>, bob@ours.test\r\n",
        "From: alice@ours.test\r\nFrom: bob@ours.test\r\n",
        "From: alice@ours.test\r\nfrom \t: bob@ours.test\r\n",
        "From: alice@ours.test\r\nSender: bob@ours.test\r\n",
        "From: alice@ours.test,\r\n bob@ours.test\r\n",
        'From: "alice@ours.test"@evil.test\r\n',
        'From: "alice@ours.test" <bob@ours.test>\r\n',
        "From: (alice@ours.test) bob@ours.test\r\n",
        # A Cyrillic letter.
        "From: \u0430lice@ours.test\r\n",
        "From: alice@desk.test.\u0430\r\n",
        "From: Us: alice@ours.test, any@evil.test;\r\n",
    ],
)
def test_any_other_address_is_refused(header: str) -> None:
    assert judged(header) in ("Address", "From")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Subject: x\r\n",
        "From:\r\n",
        "From: Alice\r\n",
        "From: undisclosed:;\r\n",
        "From: alice\r\n",
        "From: <>\r\n",
        "From: alice@ours.test bob\r\n",
        "From: bob alice@ours.test\r\n",
        'From: "x".alice@ours.test\r\n',
        'From: x."alice"@desk.test\r\n',
        "From: x . alice@desk.test\r\n",
        "From: alice@ours.test <alice@ours.test>\r\n",
        "From: =?utf-8?q?alice?=@desk.test\r\n",
        'From: "alice@ours.test\r\n',
        "From: (alice@ours.test\r\n",
        "From: <@evil.test:alice@ours.test>\r\n",
        "From: alice@[127.0.0.1]\r\n",
        "From: alice@ours.test\r\nSender:\r\n",
        "From: alice@ours.test\0\r\n",
        "From: " + "alice@ours.test, " * 1000 + "alice@ours.test\r\n",
        "From: alice@ours.test\r\n" * 11,
        b"From: alice\xff@ours.test\r\n",
    ],
)
def test_what_mail_programs_might_read_differently_is_refused(header: str | bytes) -> None:
    assert judged(header) in ("From", "Address")


def test_a_header_too_long_to_be_read_is_refused() -> None:
    assert judged("From: alice@ours.test\r\nX: " + "x" * SCAN_BYTES + "\r\nFrom: bob@ours.test\r\n") == "From"
    assert judged("From: alice@ours.test\r\n", b"x" * SCAN_BYTES) is None


def test_a_message_without_a_body_has_its_authors_all_the_same() -> None:
    assert read_authors(b"From: a@b\r\n", 0) == Authors((b" a@b",))
    assert read_authors(b"\r\nFrom: a@b\r\n", 0) is None


@given(st.text('<>@,;:"()\\ .=?[]a', max_size=40))
def test_whatever_from_holds_there_is_an_answer_and_no_foreign_domain_passes(value: str) -> None:
    assert judged(f"From: {value}\r\n") is not None
    judged(f"From: {value} <alice@ours.test>\r\n")
    assert judged(f"From: bob@evil.test{value}\r\n") is not None
