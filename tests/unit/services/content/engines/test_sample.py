"""Which bytes of a message are scanned: all but our edge's own two fields."""

import time

import pytest

from services.content.engines.sample import Sample
from services.edge.trace import mark

ID = "01jd7w5k3x" + "0" * 16
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"
PLACE = b"Received: by Gatepost\r\n"


def whole(data: bytes) -> bytes:
    sample = Sample(data)
    joined = b"".join(sample.pieces())
    assert joined == b"".join(sample.parts)
    assert (sample.size_sent, sample.size) == (len(joined), len(joined) - len(sample.parts[0]))
    return joined


def received(**changed: str) -> bytes:
    values = {
        "host": "mx.b.test",
        "by": "(Gatepost)",
        "with": "ESMTPS",
        "id": ID,
        "more": "; Tue, 24 Nov 2026",
    } | changed
    return (
        f"Received: from h.a.test (x.a.test [192.0.2.1])\r\n\tby {values['host']} {values['by']} with {values['with']}"
        f" id {values['id']}\r\n\t(using TLSv1.3)\r\n\tfor <a@b.test>{values['more']}\r\n"
    ).encode()


def seen(marks: int, message_id: str = ID) -> bytes:
    given = [mark(b"key", ID, f"{number}@b.test") for number in range(marks)]
    lines = [" ".join(given[at : at + 4]) for at in range(0, marks, 4)]
    return "\r\n\t".join([f"X-Gatepost-Seen: {message_id}", *lines]).encode() + b"\r\n"


@pytest.mark.parametrize("marks", [1, 4, 5, 1000])
def test_our_own_fields_are_left_out(marks: int) -> None:
    assert whole(received() + seen(marks) + MESSAGE) == PLACE + MESSAGE


def test_copies_of_a_message_have_one_digest() -> None:
    first, second = ("01jd7w5k3x" + "0" * 15 + last for last in "12")
    copies = [received(id=each) + seen(0, each) + MESSAGE for each in (first, second)]
    assert copies[0] != copies[1]
    assert Sample(copies[0]).digest == Sample(copies[1]).digest != Sample(received() + b"y").digest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MESSAGE,
        b"X: y\r\n" + received() + MESSAGE,
        received(by="(Postfix)") + MESSAGE,
        received(id="0" * 25) + MESSAGE,
        received(id="0" * 27) + MESSAGE,
        received(host="x y") + MESSAGE,
        received(more="x" * 3000) + MESSAGE,
        received().rstrip(),
    ],
)
def test_what_is_not_surely_ours_is_scanned(data: bytes) -> None:
    assert whole(data) == data


def test_only_the_topmost_of_our_fields_are_left_out() -> None:
    below = received() + seen(1) + MESSAGE
    assert whole(received() + seen(1) + below) == PLACE + below
    assert whole(received() + seen(1, "1" * 26) + MESSAGE) == PLACE + seen(1, "1" * 26) + MESSAGE


@pytest.mark.parametrize(
    "data",
    [
        received()[:-2] + b"\r\n\t" * 1_000_000,
        received()[:-2] + b"\r\n x" * 1_000_000,
        received() + seen(1)[:-2] + b"\r\n\ta" * 1_000_000,
        b"Received: from " + b"a" * 4_000_000,
    ],
)
def test_a_hostile_header_costs_no_time(data: bytes) -> None:
    began = time.perf_counter()
    Sample(data)
    assert time.perf_counter() - began < 0.05
