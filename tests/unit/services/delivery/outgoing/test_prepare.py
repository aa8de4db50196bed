"""What becomes of outgoing mail, and of no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.outgoing.prepare import prepare
from shared.envelope import Direction, Envelope
from shared.policy import Policy, parse_policy
from tests.unit.services.delivery.envelopes import envelope_of

ID = "01m85t0eqgexc9bk1tptb1bxcz"
TRACE = (
    b"Received: from [10.1.2.3] (pc7.lan.example.org [10.1.2.3])\r\n"
    b"\tby gate.example.org (Gatepost) with ESMTPSA id " + ID.encode() + b"\r\n"
    b"\t(using TLSv1.3); Mon, 24 Nov 2026 10:00:00 +0000\r\n"
    b"X-Gatepost-Seen: " + ID.encode() + b" 0123456789abcdef\r\n"
)
REST = b"From: Anna <anna@example.org>\r\nTo: b@example.net\r\nSubject:  a\r\n\tfold\r\n"
DATED = b"Date: Mon, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
BODY = b"\r\nBcc: in the body\r\n.\r\n"


def policy_of(outgoing: str = "") -> Policy:
    return parse_policy(
        f'[domains."example.org"]\nroute = "maildir:x"\nrecipients = ["anna"]\n[outgoing]\n{outgoing}\n'
    )


def outbound(**changes: object) -> Envelope:
    return envelope_of(**({"direction": Direction.OUTBOUND, "sender": "anna@example.org"} | changes))


def prepared(message: bytes, outgoing: str = "", **changes: object) -> bytes:
    """Return the message as it leaves, and see that to prepare it again changes nothing."""
    policy = policy_of(outgoing)
    envelope, after = prepare(outbound(**changes), message, policy, "gate.example.org")
    assert prepare(envelope, after, policy, "gate.example.org") == (envelope, after)
    return after


def test_mail_that_lacks_nothing_stays_as_it_is() -> None:
    message = TRACE + REST + DATED + BODY
    assert prepared(message) is message


def test_mail_to_us_is_not_touched() -> None:
    message = TRACE + b"Bcc: x@example.org\r\n" + REST + BODY
    envelope = outbound(direction=Direction.INBOUND)
    rules = policy_of('hide_received = true\nmasquerade = { "example.org" = "new.test" }')
    assert prepare(envelope, message, rules, "gate") == (envelope, message)


def test_date_and_message_id_are_added_where_they_are_missing() -> None:
    assert prepared(TRACE + REST + BODY) == (
        TRACE + REST + b"Date: Mon, 21 Sep 2026 14:12:20 +0000\r\n"
        b"Message-ID: <" + ID.encode() + b"@example.org>\r\n" + BODY
    )


def test_all_parts_of_a_message_get_the_same_message_id() -> None:
    first = prepared(TRACE + REST + BODY, id="01m85t0eqgexc9bk1tptb1bxc1", parent="01m85t0eqgexc9bk1tptb1bxc9")
    assert first == prepared(TRACE + REST + BODY, id="01m85t0eqgexc9bk1tptb1bxc2")
    # What edge never had is known by the id that it was split from.
    assert b"Message-ID: <the-parent@example.org>" in prepared(REST + BODY, parent="the-parent")


def test_date_in_the_body_is_no_date_and_obsolete_forms_are() -> None:
    assert prepared(TRACE + REST + b"\r\nDate: x\r\nMessage-ID: y\r\n").count(b"Message-ID") == 2
    message = TRACE + REST + b"DATE : x\r\nmessage-id:y\r\n" + BODY
    assert prepared(message) == message


def test_completing_can_be_switched_off() -> None:
    assert prepared(TRACE + REST + BODY, "complete = false") == TRACE + REST + BODY


def test_a_message_without_a_body_is_completed() -> None:
    assert prepared(TRACE + REST).endswith(b"@example.org>\r\n\r\n")
    assert prepared(TRACE + b"Subject: open end").endswith(b"Subject: open end")


def test_the_null_sender_gets_the_message_id_of_the_gateway() -> None:
    assert b"@gate.example.org>\r\n" in prepared(TRACE + REST + BODY, sender="")


def test_what_follows_a_line_that_is_no_field_is_left() -> None:
    stray = b"no field\r\nBcc: x@example.org\r\n" + BODY
    assert prepared(TRACE + DATED + stray) == TRACE + DATED + stray
    after = prepared(TRACE + stray)
    assert after.startswith(TRACE + b"Date: ")
    assert after.endswith(b"\r\n" + stray)


def test_blind_copies_are_taken_out() -> None:
    blind = b"Bcc: x@example.org,\r\n\ty@example.org\r\nResent-BCC : z@example.org\r\n"
    assert prepared(TRACE + REST + blind + DATED + BODY) == TRACE + REST + DATED + BODY
    message = TRACE + REST + blind + DATED + BODY
    assert prepared(message, "remove_bcc = false") == message


def test_the_way_within_the_organisation_is_hidden_by_policy() -> None:
    earlier = b"Received: from pc7 by mail.lan; Mon, 24 Nov 2026 09:59:59 +0000\r\n"
    results = b"Authentication-Results: gate.example.org; iprev=pass policy.iprev=10.1.2.3\r\n"
    theirs = b"Authentication-Results: lan.example.org; auth=pass\r\n"
    message = results + TRACE + earlier + theirs + REST + DATED + BODY
    after = prepared(message, "hide_received = true")
    assert after == (
        b"Received: by gate.example.org (Gatepost) with ESMTPSA id " + ID.encode() + b"\r\n"
        b"\t(using TLSv1.3); Mon, 24 Nov 2026 10:00:00 +0000\r\n"
        b"X-Gatepost-Seen: " + ID.encode() + b" 0123456789abcdef\r\n" + theirs + REST + DATED + BODY
    )
    assert b"10.1.2.3" not in after
    assert prepared(message) == message


def test_a_forged_trace_field_below_ours_goes() -> None:
    forged = TRACE.replace(b"pc7", b"pc8")
    after = prepared(TRACE + forged + REST + DATED + BODY, "hide_received = true")
    assert after.count(b"Received:") == 1


ADDRESSES = 'addresses = { "anna@example.org" = "a.smith@example.org" }\n'
MASQUERADE = 'masquerade = { "*.example.org" = "example.org", "old.test" = "new.test" }\n'


@pytest.mark.parametrize(
    ("sender", "after"),
    [
        ("anna@example.org", "a.smith@example.org"),
        ("ANNA@example.org", "a.smith@example.org"),
        ('"anna"@example.org', "a.smith@example.org"),
        # Rules are followed to their end.
        ("anna@pc7.lan.example.org", "a.smith@example.org"),
        ("bob@pc7.lan.example.org", "bob@example.org"),
        ("bob@example.org", "bob@example.org"),
        ("bob@old.test", "bob@new.test"),
        ("bob@below.old.test", "bob@below.old.test"),
        ("bob@notexample.org", "bob@notexample.org"),
        ("", ""),
    ],
)
def test_senders_are_rewritten(sender: str, after: str) -> None:
    policy = policy_of(ADDRESSES + MASQUERADE)
    fields = f'From: "X, Y" <{sender or "x@else.test"}>\r\nReply-To: {sender or "x@else.test"} (c)\r\n'.encode()
    envelope, message = prepare(outbound(sender=sender), TRACE + fields + DATED + BODY, policy, "gate")
    assert envelope.sender == after
    assert message == TRACE + fields.replace(sender.encode() or b"-", after.encode() or b"-") + DATED + BODY
    assert prepare(envelope, message, policy, "gate") == (envelope, message)


def test_what_is_written_for_itself_stays_whatever_the_domain_is_written_as() -> None:
    rules = 'addresses = { "Root@pc7.example.org" = "root@pc7.example.org" }\n' + MASQUERADE
    message = TRACE + b"From: root@pc7.example.org, anna@pc7.example.org\r\n" + DATED + BODY
    assert prepared(message, rules) == message.replace(b"anna@pc7.", b"anna@")


def test_recipients_and_other_fields_keep_their_addresses() -> None:
    message = TRACE + b"From: anna@example.org\r\nTo: anna@example.org\r\nX-From: anna@example.org\r\n" + DATED + BODY
    assert prepared(message, ADDRESSES) == message.replace(b"From: anna@", b"From: a.smith@", 1)


def test_a_from_that_cannot_be_read_is_left() -> None:
    message = TRACE + b"From: anna@example.org <anna@example.org>\r\nSender: anna@example.org\r\n" + DATED + BODY
    assert prepared(message, ADDRESSES) == message.replace(b"Sender: anna@", b"Sender: a.smith@")


def test_rules_in_a_circle_change_nothing() -> None:
    rules = 'addresses = { "anna@example.org" = "b@example.org", "b@example.org" = "anna@example.org" }'
    message = TRACE + REST + DATED + BODY
    assert prepared(message, rules) == message
    rules = 'masquerade = { "example.org" = "a.test", "a.test" = "example.org" }'
    assert prepared(message, rules) == message


def test_a_header_beyond_all_bounds_is_left() -> None:
    message = TRACE + b"X: y\r\n" * 60_000 + b"Bcc: x@example.org\r\n" + BODY
    assert prepared(message) == message


LINES = st.sampled_from(
    [
        *(b"Date: x", b"Bcc: y", b"From: a@pc.example.org", b"Sender: (", b"Received: from x by y", b"Message-ID: z"),
        *(
            b" fold",
            b"no field",
            b"",
            b":",
            b"X:",
            b"\xff\x00: z",
            b"Authentication-Results: q",
            TRACE[:-2],
            b"\r",
            b"\n",
        ),
    ]
)


@given(st.lists(LINES, max_size=12), st.booleans())
def test_whatever_it_is_twice_is_once_and_no_body_is_lost(lines: list[bytes], ends: bool) -> None:
    message = b"\r\n".join(lines) + (b"\r\n" if ends else b"")
    after = prepared(message, "hide_received = true\n" + MASQUERADE)
    assert after.endswith(message.partition(b"\r\n\r\n")[2])
