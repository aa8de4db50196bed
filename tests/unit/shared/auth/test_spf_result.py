"""What is shown of the evidence."""

from shared.auth.spf_result import plain


def test_evidence_is_printable_ascii_without_quotes_and_bounded() -> None:
    assert plain('a"b\\c\r\n\x1b[0m\u202eé ~') == "a?b?c???[0m?? ~"
    assert len(plain("x" * 1000)) == 300
