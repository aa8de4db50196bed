"""What helpers answer comes back as it was; anything else is no answer."""

import json
import random

import pytest

from services.content.isolation.protocol import (
    MAX_ANSWER_BYTES,
    ProtocolError,
    answer_size,
    decode,
    encode,
)
from services.content.mime.inspection import Attachment, Fault, FaultKind, FileKind, Inspection, Macro

SEEN = Inspection(
    3,
    (
        Attachment("2", ("ä\ud800.docm", "b"), FileKind.OFFICE, 10, (), "ab", macro=Macro.PRESENT, macro_evidence="x"),
        Attachment("2.1", (), FileKind.UNKNOWN, 0, ("a.zip",), encrypted=True),
    ),
    (Fault(FaultKind.OVERRUN, "text", "1"),),
)


def test_an_inspection_comes_back_as_it_was() -> None:
    assert decode(encode(SEEN)) == SEEN


def test_an_answer_that_would_be_too_long_is_cut_down_with_a_fault() -> None:
    name = "ä" * 255
    many = Inspection(1, tuple(Attachment("1", (name,) * 40, FileKind.TEXT, 1) for _ in range(500)))
    body = encode(many)
    assert len(body) <= MAX_ANSWER_BYTES
    got = decode(body)
    assert [fault.kind for fault in got.faults] == [FaultKind.EXCEEDED]
    assert 0 < len(got.attachments) < 500


def test_a_longer_answer_is_not_read() -> None:
    with pytest.raises(ProtocolError):
        answer_size(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"[1,2]",
        b'["1",[],[]]',
        b"[1,[[]],[]]",
        b'[1,[],[["overrun","x"]]]',
        b'[1,[],[["nonsense","x",""]]]',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(body)


def test_no_change_of_an_answer_does_anything_but_decode_or_be_refused() -> None:
    chance = random.Random(4)
    whole = encode(SEEN)
    for _ in range(2000):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.choice(b'[]{},"0123456789nulltrue\xff')
        try:
            assert isinstance(decode(bytes(body)), Inspection)
        except ProtocolError:
            pass


def test_values_of_other_types_are_refused() -> None:
    row = json.loads(encode(SEEN))[1][0]
    wrongs: list[tuple[int, object]] = [(0, 1), (1, "ab"), (2, 5), (3, "ten"), (4, {}), (5, 7), (7, 1), (8, 2)]
    for place, wrong in wrongs:
        other = [*row[:place], wrong, *row[place + 1 :]]
        with pytest.raises(ProtocolError):
            decode(json.dumps([1, [other], []]).encode())
