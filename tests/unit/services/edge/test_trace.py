"""Our trace fields, what is read from headers, and loops."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.edge.decide.loop import judge_loop
from services.edge.header import SCAN_BYTES, read_header
from services.edge.session import Session, Transaction
from services.edge.trace import head, literal, mark, protocol_word
from shared.accounts import Account
from shared.envelope import Recipient
from shared.policy import Listener, Purpose

ID = "01arz3ndektsv4rrffq69g5fav"
KEY = b"key"
SESSION = Session("mx", Listener(purpose=Purpose.INBOUND), "192.0.2.1", 4711, "client.test", extended_smtp=True)


def fields(*addresses: str, session: Session = SESSION, smtputf8: bool = False) -> bytes:
    tx = Transaction("x@away.test", [Recipient(address) for address in addresses], smtputf8=smtputf8)
    return head(ID, "gate.test", session, tx, received_at=0, loop_key=KEY)


def test_the_fields_of_one_recipient() -> None:
    assert fields("bob@ours.test").decode() == (
        "Received: from client.test ([192.0.2.1])\r\n"
        f"\tby gate.test (Gatepost) with ESMTP id {ID}\r\n"
        "\tfor <bob@ours.test>; Thu, 01 Jan 1970 00:00:00 +0000\r\n"
        f"X-Gatepost-Seen: {ID}\r\n"
        f"\t{mark(KEY, ID, 'bob@ours.test')}\r\n"
    )


def test_several_recipients_are_not_disclosed() -> None:
    text = fields("bob@ours.test", "carol@ours.test")
    assert b"bob" not in text
    assert b"carol" not in text
    assert mark(KEY, ID, "bob@ours.test") != mark(b"other key", ID, "bob@ours.test")
    assert mark(KEY, ID, "bob@ours.test") != mark(KEY, "other id", "bob@ours.test")


def test_no_line_is_long_however_many_recipients() -> None:
    assert max(len(line) for line in fields(*(f"r{number}@ours.test" for number in range(1000))).split(b"\r\n")) < 100


def test_the_words_of_with() -> None:
    tx, utf8 = Transaction(), Transaction(smtputf8=True)
    tls, account = "TLSv1.3 X", Account("a", "")
    assert protocol_word(replace(SESSION, extended_smtp=False), tx) == "SMTP"
    assert protocol_word(SESSION, tx) == "ESMTP"
    assert protocol_word(replace(SESSION, tls=tls), tx) == "ESMTPS"
    assert protocol_word(replace(SESSION, tls=tls, account=account), tx) == "ESMTPSA"
    assert protocol_word(replace(SESSION, tls=tls, account=account), utf8) == "UTF8SMTPSA"


def test_ipv6_literals_have_their_tag() -> None:
    assert literal("2001:db8::1") == "[IPv6:2001:db8::1]"


def test_our_own_fields_are_found_again() -> None:
    octets = fields("bob@ours.test", *(f"r{number}@ours.test" for number in range(40))) + b"Subject: x\r\n\r\n"
    facts = read_header(octets, 0)
    assert facts.received == 1
    assert judge_loop(facts, ["BOB@ours.test"], 30, KEY) is not None
    assert judge_loop(facts, ["r39@ours.test"], 30, KEY) is not None
    assert judge_loop(facts, ["carol@ours.test"], 30, KEY) is None
    assert judge_loop(facts, ["bob@ours.test"], 30, b"another gateway's key") is None


def test_received_fields_are_counted_in_the_header_alone() -> None:
    facts = read_header(b"ReCeived: a\r\n b\r\nX: Received:\r\nReceived: c\r\n\r\nReceived: d\r\n", 0)
    assert facts.received == 2
    assert judge_loop(facts, [], 2, KEY) is None
    assert judge_loop(facts, [], 1, KEY) is not None


def test_subject_and_message_id_are_read_for_people() -> None:
    facts = read_header(
        b"x" * 7 + b"subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n aus  Bonn\r\nMessage-ID:\r\n <1@x.test>\r\n\r\n", 7
    )
    assert (facts.subject, facts.message_id) == ("grüße aus Bonn", "<1@x.test>")
    assert read_header(b"Subject: =?nonsense?q?x?=\r\n\r\n", 0).subject == "=?nonsense?q?x?="
    assert len(read_header(b"Subject: " + b"x" * 100_000 + b"\r\n\r\n", 0).subject) == 250


def test_a_message_without_header_has_no_facts() -> None:
    facts = read_header(b"\r\nSubject: x\r\nReceived: x\r\n\r\n", 0)
    assert (facts.received, facts.subject) == (0, "")
    assert read_header(b"", 0).received == 0


@given(
    st.lists(
        st.sampled_from([b"\r\n", b"Subject:", b"X-Gatepost-Seen:", b" ", b"=?utf-8?b?", b"?=", b"a" * 16, b"\xff"])
    )
)
def test_no_octets_break_the_reader(parts: list[bytes]) -> None:
    read_header(b"".join(parts), 0).subject.encode()


def test_only_the_top_is_looked_at() -> None:
    assert read_header(b"X: " + b"x" * SCAN_BYTES + b"\r\nReceived: x\r\n\r\n", 0).received == 0


def test_received_names_the_client_once_dns_has_confirmed_it() -> None:
    named = replace(SESSION, name="mail.good.test")
    field = head("id", "gate.test", named, Transaction(), received_at=0, loop_key=b"k")
    assert field.startswith(b"Received: from client.test (mail.good.test [192.0.2.1])\r\n")
