"""Rules of taking parts out: a notice in their place, every other byte kept, and nothing of them left."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.mime.inspection import FileKind
from services.content.mime.strip import strip_parts
from services.content.mime.walk import inspect
from shared.auth.message import split_message
from tests.unit.services.content.mime.letters import HEAD, ORDINARY, PDF, crlf, encoded

NOTICE = "A file was taken out.\n--b\nAsk Grüße.\n"
TWO_FILES = crlf(
    HEAD
    + f"""\
Content-Type: multipart/mixed; boundary="b"

before
--b
Content-Type: text/plain

hello
--b
Content-Type: application/pdf; name=one.pdf
Content-Transfer-Encoding: base64

{encoded(PDF)}
--b
Content-Type: message/rfc822

From: a@a.test
Content-Type: multipart/mixed; boundary="c"

--c

inner
--c
Content-Type: application/pdf; name=two.pdf
Content-Transfer-Encoding: base64

{encoded(PDF)}
--c--

--b--
after
"""
)


def files(data: bytes) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (one.part, one.names) for one in inspect(split_message(data)).attachments if one.kind is not FileKind.MESSAGE
    ]


def structure(data: bytes) -> int:
    return inspect(split_message(data)).parts


@pytest.mark.parametrize(
    ("numbers", "left"),
    [
        (["2"], [("3.2", ("two.pdf",))]),
        (["3.2"], [("2", ("one.pdf",))]),
        (["2", "3.2"], []),
        (["3.2", "2"], []),
    ],
)
def test_parts_are_taken_out_and_the_others_keep_their_places(numbers: list[str], left: list[object]) -> None:
    stripped = strip_parts(TWO_FILES, numbers, NOTICE)
    assert files(stripped) == left
    assert structure(stripped) == structure(TWO_FILES)
    assert inspect(split_message(stripped)).faults == ()


def test_every_other_byte_stays() -> None:
    stripped = strip_parts(TWO_FILES, ["2"], NOTICE)
    start = TWO_FILES.index(b"Content-Type: application/pdf; name=one.pdf")
    end = TWO_FILES.index(b"\r\n--b\r\nContent-Type: message/rfc822")
    assert stripped.startswith(TWO_FILES[:start])
    assert stripped.endswith(TWO_FILES[end:])
    assert encoded(PDF).encode().splitlines()[0] not in stripped[start : -len(TWO_FILES[end:])]


def test_an_attached_message_is_taken_out_with_all_that_it_holds() -> None:
    stripped = strip_parts(TWO_FILES, ["3.2", "3"], NOTICE)
    assert files(stripped) == [("2", ("one.pdf",))]
    assert b"inner" not in stripped
    assert stripped.endswith(b"\r\n--b--\r\nafter\r\n")


def test_a_message_that_is_the_attachment_keeps_its_header() -> None:
    data = crlf(
        HEAD + "Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\nX-Y: z\n\n" + encoded(PDF)
    )
    stripped = strip_parts(data, ["1"], NOTICE)
    assert files(stripped) == []
    before, after = split_message(data), split_message(stripped)
    assert [field for field in after.fields if not field.key.startswith(b"content-")] == [
        field for field in before.fields if not field.key.startswith(b"content-")
    ]
    assert after.body.endswith(b"\r\n")
    assert max(map(len, stripped.split(b"\r\n"))) < 998


def test_a_part_without_a_line_of_its_own_is_replaced_all_the_same() -> None:
    data = b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nFrom: a@a.test\r\n\r\nx\r\n--b"
    stripped = strip_parts(data, ["2"], NOTICE)
    assert [number for number, _ in files(stripped)] == []
    assert inspect(split_message(stripped)).faults == ()


def test_the_notice_is_readable_and_can_do_no_harm() -> None:
    stripped = strip_parts(TWO_FILES, ["2"], NOTICE)
    assert encoded(NOTICE.replace("\n", "\r\n").encode()).strip().encode() in stripped
    assert stripped.count(b"\r\n") == stripped.count(b"\n") == stripped.count(b"\r")


@pytest.mark.parametrize("number", ["", "9", "2.1", "x"])
def test_a_part_that_is_not_there_is_an_error(number: str) -> None:
    with pytest.raises(ValueError, match="no part"):
        strip_parts(TWO_FILES, [number], NOTICE)


@pytest.mark.parametrize("what", ORDINARY)
def test_ordinary_mail_loses_what_is_asked_and_no_more(what: str) -> None:
    data, _ = ORDINARY[what]
    before = inspect(split_message(data))
    for number in {one.part for one in before.attachments}:
        after = inspect(split_message(strip_parts(data, [number], NOTICE)))
        gone = [one for one in before.attachments if one.part != number and not one.part.startswith(f"{number}.")]
        assert [one.digest for one in after.attachments] == [one.digest for one in gone]
        assert after.faults == ()


def _multipart(parts: list[bytes]) -> bytes:
    # A boundary of the parts' own, so that none is another's.
    boundary = f"b{zlib.crc32(b''.join(parts)):08x}{sum(map(len, parts))}".encode()
    between = b"\r\n--" + boundary + b"\r\n"
    return (
        b"Content-Type: multipart/mixed; boundary=%s\r\n\r\npreamble" % boundary
        + between
        + between.join(parts)
        + (b"\r\n--%s--\r\nepilogue" % boundary)
    )


LEAVES = st.sampled_from([
    b"\r\ntext", b"Content-Type: text/plain", b"Content-Type: a/b; name=x.exe\r\n\r\n", b"Content-Type: a/b\r\n\r\n\x01 y",
    b"Content-Type: text/html\r\n\r\n<html>", b"Content-Type: a/b; name=z.exe\r\nContent-Transfer-Encoding: base64\r\n\r\nTVqQ",
])  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map(_multipart)
        | inner.map(lambda part: b"Content-Type: message/rfc822\r\n\r\nFrom: a@a.test\r\n" + part)
    ),
    max_leaves=12,
)


@given(TREES, st.data())
def test_what_was_taken_out_is_not_there_any_more(data: bytes, draw: st.DataObject) -> None:
    inspection = inspect(split_message(data))
    assert inspection.faults == ()
    if not inspection.attachments:
        return
    number = draw.draw(st.sampled_from([one.part for one in inspection.attachments]))
    after = inspect(split_message(strip_parts(data, [number], NOTICE)))
    assert after.faults == ()
    left = [one for one in inspection.attachments if one.part != number and not one.part.startswith(f"{number}.")]
    assert [(one.part, one.digest) for one in after.attachments] == [(one.part, one.digest) for one in left]
