"""Rules of the look before any parser: what is beyond all bounds, what is heavy, and that it costs next to nothing."""

import pytest

from services.content.mime.caps import HEAVY_BYTES, Caps, scan_caps
from shared.auth.message import split_message
from tests.unit.services.content.mime.letters import ORDINARY

MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def caps(data: bytes) -> Caps:
    return scan_caps(data, split_message(data))


@pytest.mark.parametrize("what", ORDINARY)
def test_ordinary_mail_is_neither_heavy_nor_beyond(what: str) -> None:
    found = caps(ORDINARY[what][0])
    assert (found.heavy, found.beyond) == (False, "")


def test_what_is_counted() -> None:
    found = caps(b"Subject: =?a?b?c?= =?a?b?c?=\r\nContent-Type: multipart/x\r\n\r\n--a\r\n--b\r\nname*=a name*0*=b\0")
    assert (found.header_bytes, found.parts, found.parameters, found.words) == (59, 2, 2, 2)
    assert (found.zeros, found.long_line) == (True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"X: y\r\n\r\n" + b"x" * HEAVY_BYTES,
        MIXED + b"--x\r\n" * 100,
        b"X: " + b"y" * 20_000 + b"\r\n\r\n",
        b"X: y\r\n\r\n" + b"name*0*=a;" * 200,
        b"X: " + b"=?a?b?c?= " * 1100 + b"\r\n\r\n",
        b"X: y\r\n\r\na\0b",
        b"X: y\r\n\r\nx\r\n" + b"x" * 150_000,
        b"X: y\r\n\r\n" + b"x" * 150_000 + b"\r\nx",
        b"no field\r\n\r\n",
        b"X: y\r\n\r\n" + b"begin 644 a\r\n" * 30,
    ],
)
def test_what_is_large_or_odd_is_heavy(data: bytes) -> None:
    assert caps(data).heavy


def test_a_line_is_long_wherever_it_stands() -> None:
    short = b"x" * 998 + b"\r\n"
    for before, after in ((0, 300), (300, 0), (150, 150)):
        data = b"\r\n" + short * before + b"x" * 100_001 + b"\r\n" + short * after
        assert caps(data).long_line
        assert not caps(data.replace(b"x" * 100_001, b"x" * 99_000)).long_line


def test_more_parts_than_any_message_may_have_are_beyond() -> None:
    assert caps(MIXED + b"--b\r\n\r\n" * 1002).beyond == "the message has more than 1000 parts"
    assert caps(MIXED + b"--b \t\r\n\r\n" * 200_000).beyond
    assert caps(MIXED + b"--b\r\n\r\n" * 1000).beyond == ""


def test_lines_that_are_no_parts_are_not_beyond() -> None:
    assert caps(MIXED + b"--c\r\n-- comment of SQL\r\n" * 5000).beyond == ""
    assert caps(b"Content-Type: text/plain; boundary=b\r\n\r\n" + b"--b\r\n" * 5000).beyond == ""
