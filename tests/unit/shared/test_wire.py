"""Rules of the wire form v1: golden bytes that must be read for ever, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.envelope import Envelope, Recipient
from shared.reply import Reply
from shared.verdict import Action, CheckName, Reason, Verdict
from shared.wire import (
    ENVELOPE,
    FIRST_LIMIT_BYTES,
    HEADERS_LIMIT_BYTES,
    MAIL_TYPE,
    QUARANTINE,
    REPLY_KEY,
    TOKEN,
    EnvelopeTooLarge,
    Judgement,
    QuarantineNote,
    ReplyTo,
    Said,
    WireError,
    decode_judgement,
    decode_said,
    encode_envelope,
    encode_judgement,
    encode_note,
    encode_said,
    judgement_of,
    mail_headers,
    read_envelope,
    read_note,
    read_reply_to,
)
from tests.unit.shared.samples import FULL, ID, LEAST, RELEASED

GOLDEN = Path(__file__).parent / "golden"
JUDGEMENT = Judgement(ID, "0123abcd", "token", Action.REFUSE, 550, "5.7.1", f"Message refused: malware found [{ID}]")
ASK = Judgement(ID, "0123abcd", "token")
SAID = Said(ID, "token", 550)
NOTE = QuarantineNote("refuse", "ClamAV found Eicar.", "antivirus")


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8").rstrip("\n")


def read(text: str) -> Envelope:
    return read_envelope(MAIL_TYPE, {ENVELOPE: text})


ENVELOPES = [
    ("envelope-v1-full.json", FULL),
    ("envelope-v1-least.json", LEAST),
    ("envelope-v1-released.json", RELEASED),
]


@pytest.mark.parametrize(("name", "envelope"), ENVELOPES)
def test_the_golden_envelope_is_read_for_ever(name: str, envelope: Envelope) -> None:
    assert read(golden(name)) == envelope


@pytest.mark.parametrize(("name", "envelope"), ENVELOPES)
def test_the_golden_envelope_is_what_is_written(name: str, envelope: Envelope) -> None:
    assert encode_envelope(envelope) == golden(name)


def test_the_golden_small_messages_are_read_and_written_for_ever() -> None:
    assert decode_judgement(golden("judgement-v1.json").encode()) == JUDGEMENT
    assert encode_judgement(JUDGEMENT).decode() == golden("judgement-v1.json")
    assert decode_judgement(golden("judgement-v1-ask.json").encode()) == ASK
    assert encode_judgement(ASK).decode() == golden("judgement-v1-ask.json")
    assert decode_said(golden("said-v1.json").encode()) == SAID
    assert encode_said(SAID).decode() == golden("said-v1.json")
    assert read_note({QUARANTINE: golden("note-v1.json")}) == NOTE
    assert encode_note(NOTE) == golden("note-v1.json")


def with_later_keys(value: object) -> object:
    """Add a key that v1 does not know to each JSON object, however deep."""
    if isinstance(value, dict):
        return {key: with_later_keys(inner) for key, inner in value.items()} | {"later": {"x": [1]}}
    return [with_later_keys(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "envelope"), ENVELOPES)
def test_keys_of_a_later_version_are_ignored(name: str, envelope: Envelope) -> None:
    later = json.dumps(with_later_keys(json.loads(golden(name))))
    assert "later" in later
    assert read(later) == envelope


def test_keys_of_a_later_version_are_ignored_in_the_small_messages_too() -> None:
    def later(name: str) -> str:
        return json.dumps(with_later_keys(json.loads(golden(name))))

    assert decode_judgement(later("judgement-v1.json").encode()) == JUDGEMENT
    assert decode_said(later("said-v1.json").encode()) == SAID
    assert read_note({QUARANTINE: later("note-v1.json")}) == NOTE


def test_headers_of_a_mail_are_built_afresh() -> None:
    assert set(mail_headers(LEAST)) == {ENVELOPE}
    assert set(mail_headers(LEAST, ReplyTo("key", "token"), NOTE)) == {ENVELOPE, REPLY_KEY, TOKEN, QUARANTINE}


def test_headers_are_read_as_they_were_written() -> None:
    headers = mail_headers(FULL, ReplyTo("key", "token"), NOTE)
    assert read_envelope(MAIL_TYPE, headers) == FULL
    assert read_reply_to(headers) == ReplyTo("key", "token")
    assert read_note(headers) == NOTE


def test_text_headers_may_come_as_octets() -> None:
    headers = {name: value.encode() for name, value in mail_headers(FULL, ReplyTo("key", "token")).items()}
    assert read_envelope(MAIL_TYPE, headers) == FULL
    assert read_reply_to(headers) == ReplyTo("key", "token")


def test_without_its_headers_nobody_awaits_a_verdict_and_nobody_noted_a_quarantine() -> None:
    assert read_reply_to({"other": 1}) is None
    assert read_note({"other": 1}) is None


@pytest.mark.parametrize("half", [{REPLY_KEY: "key"}, {TOKEN: "token"}, {REPLY_KEY: "key", TOKEN: 5}])
def test_half_a_reply_address_is_an_error(half: dict[str, object]) -> None:
    with pytest.raises(WireError, match=r"header '(token|reply_key)' is (missing|int)"):
        read_reply_to(half)


@pytest.mark.parametrize("message_type", [None, "", "gatepost.mail.v2", "GATEPOST.MAIL.V1"])
def test_another_type_is_not_read_as_v1(message_type: str | None) -> None:
    with pytest.raises(WireError, match=r"expected 'gatepost\.mail\.v1'"):
        read_envelope(message_type, mail_headers(LEAST))


@pytest.mark.parametrize(
    "value",
    [None, 5, b"\xff\xfe", "", "{", "[]", "null", "{}", "\ud800", "[" * 5000, golden("said-v1.json")],
)
def test_what_is_no_envelope_is_refused_by_name(value: object) -> None:
    with pytest.raises(WireError, match="header 'envelope'"):
        read_envelope(MAIL_TYPE, {ENVELOPE: value})


@pytest.mark.parametrize(
    "change", [{"direction": "sideways"}, {"recipients": [{}]}, {"client": {"address": "x"}}, {"size_bytes": "many"}]
)
def test_an_envelope_with_a_wrong_value_is_refused_naming_its_key(change: dict[str, object]) -> None:
    text = json.dumps(json.loads(golden("envelope-v1-least.json")) | change)
    with pytest.raises(WireError, match=next(iter(change))):
        read(text)


def test_the_cause_is_short_however_much_is_wrong() -> None:
    wrong = json.loads(golden("envelope-v1-least.json")) | {"recipients": [{}] * 10_000}
    with pytest.raises(WireError) as caught:
        read(json.dumps(wrong))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("decode", [decode_judgement, decode_said])
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b"null", b'{"id":1}'])
def test_what_is_no_small_message_is_refused(decode: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(WireError, match="message: "):
        decode(body)


@settings(max_examples=60)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_header_value_is_read_or_refused(value: bytes | str) -> None:
    for reader in (lambda headers: read_envelope(MAIL_TYPE, headers), read_note):
        with pytest.raises(WireError):
            reader({ENVELOPE: value, QUARANTINE: value})


def crowd(count: int) -> Envelope:
    return replace(LEAST, recipients=tuple(Recipient(f"{number:064}@gatepost.test") for number in range(count)))


def test_an_envelope_that_no_frame_holds_is_refused() -> None:
    with pytest.raises(EnvelopeTooLarge, match="120000 fit one frame"):
        mail_headers(crowd(2000))


def test_size_is_counted_in_octets() -> None:
    wide = replace(LEAST, recipients=(Recipient("é" * (HEADERS_LIMIT_BYTES // 2) + "@gatepost.test"),))
    with pytest.raises(EnvelopeTooLarge):
        mail_headers(wide)


def test_edge_leaves_room_for_the_verdict_that_content_adds() -> None:
    count = 1
    while len(encode_envelope(crowd(count + 1))) <= FIRST_LIMIT_BYTES:
        count += 1
    largest = crowd(count)
    mail_headers(largest, ReplyTo("key", "token"))
    with pytest.raises(EnvelopeTooLarge):
        mail_headers(crowd(count + 1), ReplyTo("key", "token"))
    reasons = tuple(Reason(check, "temperror", Action.DEFER, "x" * 1000) for check in CheckName)
    judged = replace(largest, verdict=Verdict(Action.DEFER, reasons, 10**9))
    assert read_envelope(MAIL_TYPE, mail_headers(judged)) == judged


def test_a_verdict_message_carries_the_decision_and_its_reply() -> None:
    reply = Reply(550, "5.7.1", "no")
    judgement = judgement_of(ID, "key", "token", Verdict(Action.REFUSE), reply)
    assert (judgement.action, judgement.reply) == (Action.REFUSE, reply)
    assert ASK.reply is None


def test_a_reply_that_lies_about_its_class_is_a_value_error_to_who_asks_for_it() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        _ = replace(JUDGEMENT, code=250).reply


def test_a_hundred_recipients_of_greatest_length_fit() -> None:
    # RFC 5321 §4.5.3.1.8: a hundred recipients must be taken; §4.5.3.1.3: of 254 octets each.
    recipients = tuple(
        Recipient(f"{number:064}@{'d' * 189}", orcpt=f"rfc822;{'x' * 493}") for number in range(100)
    )  # fmt: skip
    mail_headers(replace(LEAST, recipients=recipients), ReplyTo("key", "token"))


def test_an_envelope_without_recipients_is_no_mail() -> None:
    headers = {ENVELOPE: encode_envelope(replace(LEAST, recipients=()))}
    with pytest.raises(WireError, match="no recipients"):
        read_envelope(MAIL_TYPE, headers)
