"""How a recovery code looks, and what is taken for one."""

import re

import pytest

from services.console.identity.recovery_codes import canonical_code, new_code


def test_a_code_has_four_groups_of_letters_that_are_not_taken_for_others() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(re.fullmatch(r"([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}", code) for code in codes)


def test_a_new_code_is_read_as_itself() -> None:
    code = new_code()
    assert canonical_code(code) == code.replace("-", "")


@pytest.mark.parametrize(
    "typed",
    ["0123-4567-89AB-CDEF", " 0123 4567 89ab cdef ", "o123456789abcdef", "Oi23-4567-89ab-cdef", "0l23-4567-89ab-cdef"],
)
def test_a_code_is_read_however_it_was_typed(typed: str) -> None:
    assert canonical_code(typed) == "0123456789abcdef"


@pytest.mark.parametrize(
    "typed", ["", "123456", "0123-4567-89ab-cde", "0123-4567-89ab-cdefg", "0123456789abcdeu", "é" * 16]
)
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert canonical_code(typed) is None
