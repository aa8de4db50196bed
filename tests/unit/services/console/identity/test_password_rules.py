"""What a console password may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.identity.password_rules import PasswordRefused, acceptable, prepared


@pytest.mark.parametrize(
    "password, name, why",
    [
        ("eleven char", "anna", "12 characters"),
        ("", "anna", "12 characters"),
        ("é" * 600 + "abcd1", "anna", "1024 octets"),
        ("password1234", "anna", "first that anybody tries"),
        ("Correct Horse Battery Staple", "anna", "first that anybody tries"),
        ("abababababab", "anna", "same few characters"),
        ("aaaaaaaaaaaaaaaa", "anna", "same few characters"),
        ("mellonanna2024x", "anna", "your name"),
        ("I am Postmaster!", "postmaster@example.org", "your name"),
        ("twelve chars\x00", "anna", "cannot be typed"),
        ("twelve chars\ud800", "anna", "cannot be typed"),
    ],
)
def test_a_bad_password_is_refused_with_the_reason(password: str, name: str, why: str) -> None:
    with pytest.raises(PasswordRefused, match=why) as refused:
        acceptable(password, name)
    if password:
        assert password not in str(refused.value)


@pytest.mark.parametrize(
    "password", ["seven green bottles", "x7#Qm2!vLp9z", "пять зелёных бутылок", "a" * 1020 + "bcde"]
)
def test_length_is_enough(password: str) -> None:
    assert acceptable(password, "anna@example.org") == prepared(password)


def test_a_short_name_may_be_part_of_a_password() -> None:
    assert acceptable("seven green bottles", "e@x")


def test_a_password_is_the_same_however_it_was_typed() -> None:
    assert prepared("pa\u0301ssword ﬁne") == prepared("p\u00e1ssword fine")


@given(st.text(max_size=2000))
def test_any_text_is_taken_or_refused_and_nothing_else(password: str) -> None:
    try:
        assert len(acceptable(password, "anna")) >= 12
    except PasswordRefused:
        pass
