"""An address field is taken apart the same way for whoever reads it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth.address_tokens import Kind, Untidy, address_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (" a@b.test\r\n", [(Kind.ATOM, "a"), (Kind.SPECIAL, "@"), (Kind.ATOM, "b.test")]),
        ('"a, \\" b" (c (d)) x', [(Kind.QUOTED, '"a, \\" b"'), (Kind.ATOM, "x")]),
        ("=?utf-8?q?a,_b@c?= ,", [(Kind.ENCODED, "=?utf-8?q?a,_b@c?="), (Kind.SPECIAL, ",")]),
        ("=?utf-8?q", [(Kind.ATOM, "=?utf-8?q")]),
        ("[192.0.2.1]", [(Kind.LITERAL, "[192.0.2.1]")]),
        ("", []),
    ],
)
def test_words_and_signs_are_told_apart(text: str, tokens: list[tuple[Kind, str]]) -> None:
    first, *found, last = address_tokens(text)
    assert [(token.kind, token.text) for token in found] == tokens
    assert (first.kind, last.kind, last.end) == (Kind.EDGE, Kind.EDGE, len(text))


@pytest.mark.parametrize("text", ['"open', "(open", "a)", "a\\b", "[open"])
def test_what_is_open_or_out_of_place_is_said(text: str) -> None:
    with pytest.raises(Untidy, match=r"an open|out of place"):
        address_tokens(text)


@given(st.text(alphabet='ab@<>,:;()[]"\\=? \r\n.é', max_size=60))
def test_a_token_is_where_it_says(text: str) -> None:
    try:
        tokens = address_tokens(text)
    except Untidy:
        return
    assert all(text[token.start : token.end] == token.text for token in tokens)
    assert all(one.end <= other.start for one, other in pairwise(tokens))
