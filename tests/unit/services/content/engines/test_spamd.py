"""Rules of what spamd is told, and of the report that it gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.engines.spamd import return_path
from services.content.engines.spamd_report import read_symbols
from services.content.spam import Symbol

REPORT = """\
Spam detection software, running on the system "vm",
has identified this incoming email as possible spam.

Content preview:  ---- ---------------------- --------------------------------
 99.9 FORGED x

Content analysis details:   (1006.9 points, 5.0 required)

 pts rule name              description
---- ---------------------- --------------------------------------------------
-0.0 NO_RECEIVED            Informational: message has no Received headers
 0.0 URIBL_BLOCKED          ADMINISTRATOR NOTICE: The query to URIBL was
                            blocked.
                            [URIs: 9.9 FORGED.test]
1000 GTUBE                  BODY: Generic Test for Unsolicited Bulk Email
-1.9 BAYES_00               BODY: Bayes spam probability is 0 to 1%
 8.8 BARE_NAME

"""


def test_the_rules_of_the_table_come_by_their_weight() -> None:
    assert read_symbols(REPORT) == (
        Symbol("GTUBE", 1000.0, "BODY: Generic Test for Unsolicited Bulk Email"),
        Symbol("BARE_NAME", 8.8, ""),
        Symbol("BAYES_00", -1.9, "BODY: Bayes spam probability is 0 to 1%"),
        Symbol("NO_RECEIVED", -0.0, "Informational: message has no Received headers"),
        Symbol("URIBL_BLOCKED", 0.0, "ADMINISTRATOR NOTICE: The query to URIBL was blocked. [URIs: 9.9 FORGED.test]"),
    )


def test_a_report_without_the_table_names_no_rules() -> None:
    assert read_symbols("Spam: yes\n 9.9 LOOKS_LIKE_ONE but is not\n") == ()


def test_lines_may_end_with_crlf() -> None:
    assert read_symbols(REPORT.replace("\n", "\r\n")) == read_symbols(REPORT)


@given(st.text(max_size=300))
def test_no_text_in_the_table_is_more_than_plain(text: str) -> None:
    for symbol in read_symbols(REPORT + " 1.0 MORE_RULES   " + text):
        assert symbol.text.isprintable()
        assert symbol.text.isascii()
        assert len(symbol.text) <= 120


@pytest.mark.parametrize(
    ("sender", "field"),
    [
        ("a@sender.test", b"Return-Path: <a@sender.test>\r\n"),
        ("", b"Return-Path: <>\r\n"),
        ("josé@sender.test", b""),
        ("a\r\nX: y@sender.test", b""),
    ],
)
def test_the_sender_stands_in_a_return_path_if_a_field_can_hold_it(sender: str, field: bytes) -> None:
    assert return_path(sender) == field
