"""SASLprep: one form for each name and password."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.saslprep import SaslprepError, saslprep


@pytest.mark.parametrize(
    "text, form",
    [
        # RFC 4013 §3: the examples.
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # RFC 4013 §2.1.
        ("a\u00a0b", "a b"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("", ""),
    ],
)
def test_one_form_for_what_means_the_same(text: str, form: str) -> None:
    assert saslprep(text) == form


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\0", "a\x7f", "\ue000", "\ud800", "\u200e", "\U000e0001"])
def test_what_no_name_may_hold_is_refused(text: str) -> None:
    with pytest.raises(SaslprepError):
        saslprep(text)


def test_what_unicode_3_2_did_not_know_may_be_asked_for_but_not_stored() -> None:
    assert saslprep("\U0001f511") == "\U0001f511"
    with pytest.raises(SaslprepError):
        saslprep("\U0001f511", stored=True)


@given(st.text(max_size=30))
def test_what_is_prepared_stays_as_it_is(text: str) -> None:
    try:
        form = saslprep(text)
    except SaslprepError:
        return
    assert unicodedata.ucd_3_2_0.normalize("NFKC", form) == form
    try:
        assert saslprep(form) == form
    except SaslprepError:
        pytest.fail("a prepared text is refused")
