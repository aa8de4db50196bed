"""Rules of transfer encodings: what is well formed has one reading, and what decoders read differently has each."""

import base64
import binascii
import quopri
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.mime.decoding import decoded
from services.content.mime.fields import Encoding
from services.content.mime.uuencode import MAX_BLOCKS, Block, uu_blocks


@given(st.binary(max_size=500), st.sampled_from([4, 60, 76, 1000]))
def test_well_formed_base64_has_one_reading(content: bytes, width: int) -> None:
    lines = textwrap.wrap(base64.b64encode(content).decode(), width)
    assert decoded("\r\n".join(lines).encode() + b"\r\n\r\n", Encoding.BASE64) == [content]


@pytest.mark.parametrize(
    ("body", "readings"),
    [
        (b"aGVs\r\nbG8", [b"hello"]),
        (b"aGVsbG8", [b"hello"]),
        (b"aGVsbG8===", [b"hello"]),
        (b"aGVsbG8=\r\n_____\r\n list\r\n", [b"hello", b"hello\x96\x2b\x2d", b"hello\x25\x8a\xcb", b"hello"]),
        (b"aGk=aGk=", [b"hi", b"hihi", b"hi\x1a\x1a"]),
        (b"aG!k", [b"hi", b"h"]),
        (b"=aGk=", [b"", b"hi"]),
        (b"a", [b""]),
        (b"", [b""]),
        (b"====", [b""]),
        (b"\xff\xfe", [b""]),
    ],
)
def test_odd_base64_has_every_reading(body: bytes, readings: list[bytes]) -> None:
    assert decoded(body, Encoding.BASE64) == list(dict.fromkeys(readings))


@given(st.binary(max_size=300))
def test_quoted_printable_is_read_as_it_was_written(content: bytes) -> None:
    body = quopri.encodestring(content, quotetabs=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert quopri.decodestring(body) in decoded(body, Encoding.QUOTED_PRINTABLE)


def test_spaces_at_a_lines_end_have_both_readings() -> None:
    assert decoded(b"a= \r\nb \r\n", Encoding.QUOTED_PRINTABLE) == [b"a= \r\nb \r\n", b"ab\r\n"]


def uuencoded(content: bytes, name: bytes = b"a.bin") -> bytes:
    lines = [binascii.b2a_uu(content[at : at + 45]) for at in range(0, len(content), 45)]
    return b"begin 644 " + name + b"\n" + b"".join(lines) + b"`\nend\n"


@given(st.binary(min_size=1, max_size=500), st.booleans())
def test_uuencoded_files_are_found_in_texts(content: bytes, crlf: bool) -> None:
    text = b"hello\n" + uuencoded(content) + b"bye\n"
    text = text.replace(b"\n", b"\r\n") if crlf else text
    assert list(uu_blocks(text)) == [Block(b"a.bin", content)]


@given(st.binary(min_size=1, max_size=500))
def test_uuencode_as_an_encoding_is_its_content(content: bytes) -> None:
    assert decoded(uuencoded(content), Encoding.UUENCODE) == [content]


@pytest.mark.parametrize(
    "text",
    [
        b"begin 644 of the words\nin prose we go on, and on\n",
        b"we begin 644 a\n#86)C\n",
        b"begin 9 a\n#86)C\n",
        b"begin 644\n#86)C\n",
        b"begin 644 a\n\n#86)C\n",
    ],
)
def test_prose_is_no_uuencoded_file(text: bytes) -> None:
    assert list(uu_blocks(text)) == []


def test_damaged_lines_end_a_file_and_keep_what_came_before() -> None:
    text = uuencoded(b"x" * 90).replace(b"end", b"....... not a line of it at all\nend")
    assert [block.content for block in uu_blocks(text)] == [b"x" * 90]
    assert [block.content for block in uu_blocks(b"begin 644 a\n#86)C\n")] == [b"abc"]
    # Trailing spaces that a server cut off.
    assert [block.content for block in uu_blocks(b"begin 644 a\n#86\n`\nend\n")] == [b"a`\x00"]


def test_the_base64_form_may_have_spaces_at_its_lines_ends() -> None:
    text = b"begin-base64 644 a\nYWJj \t\nZGU= \n====\n"
    assert [block.content for block in uu_blocks(text)] == [b"abcde"]


def test_no_more_files_are_decoded_than_the_bound() -> None:
    assert len(list(uu_blocks(uuencoded(b"abc") * (MAX_BLOCKS + 50)))) == MAX_BLOCKS


@given(st.binary(max_size=300) | st.text("AQ=!\r\n begin64`end#", max_size=200).map(str.encode))
def test_any_body_can_be_decoded(body: bytes) -> None:
    for encoding in Encoding:
        assert decoded(body, encoding)
    list(uu_blocks(body))
