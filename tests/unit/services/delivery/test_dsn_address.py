"""Addresses from outside, as a DSN shows them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.dsn_address import (
    decode_xtext,
    field_text,
    original_address,
    original_recipient,
    utf8_address,
)


def test_xtext_is_decoded_but_cannot_break_a_line() -> None:
    assert decode_xtext("a+2Bb+0D+0AEvil: x") == "a+b Evil: x"


@pytest.mark.parametrize(
    ("orcpt", "in_utf8", "field"),
    [
        ("rfc822;a+2Bb@x.example", False, "rfc822; a+b@x.example"),
        ("X400;/C=de", False, "X400; /C=de"),
        ("utf-8;j\\x{FC}rgen@x.example", True, "utf-8; jürgen@x.example"),
        ("utf-8;j\\x{FC}rgen@x.example", False, "utf-8; j\\x{FC}rgen@x.example"),
        ("UTF-8;a\\x{2B}b@x.example", True, "UTF-8; a+b@x.example"),
        ("UTF-8;a\\x{2B}b@x.example", False, "UTF-8; a\\x{2B}b@x.example"),
        ("utf-8;a\\x{FFFFFF}b@x.example", False, "utf-8; a\\x{5C}x{FFFFFF}b@x.example"),
        ("nothing", False, "nothing; "),
    ],
)
def test_the_original_recipient_has_the_form_of_its_type(orcpt: str, in_utf8: bool, field: str) -> None:
    assert original_recipient(orcpt, in_utf8=in_utf8) == field


@given(st.text(max_size=60))
def test_the_ascii_form_of_an_address_is_ascii_and_means_the_same(address: str) -> None:
    encoded = utf8_address(address, in_utf8=False)
    assert encoded.isascii()
    assert original_address(f"utf-8;{encoded}") == field_text(address)


@given(st.text(max_size=100))
def test_no_text_breaks_a_field(text: str) -> None:
    assert len(f"x{field_text(text)}x".splitlines()) == 1
