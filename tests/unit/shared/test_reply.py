"""Rules of replies: one line, of the class it says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.reply import Reply


@pytest.mark.parametrize("code", [0, 100, 199, 600, 1000, -250])
def test_a_code_that_no_reply_has_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="not an SMTP reply code"):
        Reply(code, "", "text")


@pytest.mark.parametrize(
    ("code", "enhanced"),
    [
        *[(250, "5.0.0"), (550, "2.0.0"), (451, "5.3.0"), (354, "3.0.0"), (550, "5.7"), (550, "5.7.1234")],
        *[(550, "5.7.1 "), (550, "5.7.1\n"), (550, "5.7.1\r\n250 2.0.0 ok"), (550, "5.7.١"), (550, "x")],
    ],
)
def test_an_enhanced_code_fits_its_reply_or_is_refused(code: int, enhanced: str) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Reply(code, enhanced, "text")


@pytest.mark.parametrize(
    ("code", "positive", "temporary", "permanent"),
    [
        (220, True, False, False),
        (250, True, False, False),
        (354, False, False, False),
        (421, False, True, False),
        (452, False, True, False),
        (550, False, False, True),
        (599, False, False, True),
    ],
)
def test_the_class_of_a_reply_is_its_first_digit(code: int, positive: bool, temporary: bool, permanent: bool) -> None:
    reply = Reply(code, "", "")
    assert (reply.positive, reply.temporary, reply.permanent) == (positive, temporary, permanent)


def test_a_reply_reads_as_code_enhanced_code_and_text() -> None:
    assert str(Reply(250, "2.0.0", "queued")) == "250 2.0.0 queued"
    assert str(Reply(354, "", "go ahead")) == "354 go ahead"


def test_a_text_cannot_begin_a_line_of_its_own() -> None:
    assert str(Reply(550, "5.7.1", "no\r\n250 2.0.0 yes\x00\x85\u2028é")) == "550 5.7.1 no 250 2.0.0 yes "


@settings(max_examples=80)
@given(st.text(max_size=1200))
def test_any_text_gives_one_line_of_printable_ascii_within_the_limit(text: str) -> None:
    line = str(Reply(550, "5.7.1", text))
    assert line.isascii()
    assert line.isprintable()
    # RFC 5321 §4.5.3.1.5: 512 octets with CRLF.
    assert len(line.encode()) <= 510


def test_multi_byte_text_counts_in_octets() -> None:
    assert len(str(Reply(550, "5.7.1", "é" * 5000 + "x" * 5000)).encode()) == 510
