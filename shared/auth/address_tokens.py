"""Owns taking an address field apart (PURE): words, addresses' parts and signs, without comments and blanks.

Input: the value of From, Sender or Reply-To as text. Output: tokens, with where they stand. Standards: RFC 5322 §3.2
and §3.4, RFC 2047 §5 (encoded words), RFC 6532.
On failure: Untidy, which says what the field has that readers take in more ways than one.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from shared.auth.comments import end_of_comment

# Possessive quantifiers: what does not match fails at once, without trying shorter ways.
_TOKEN = re.compile(
    r"""
      (?P<SPACE>[ \t\r\n]++)
    | (?P<QUOTED>"(?:[^"\\]|\\.)*+")
    | (?P<ENCODED>=\?[^?\s]{1,40}\?[BbQq]\?[^?\s]*+\?=)
    | (?P<LITERAL>\[[^\[\]\\]*+\])
    | (?P<ATOM>[^\s()<>\[\]:;@\\,"]++)
    | (?P<SPECIAL>[<>@,:;])
    """,
    re.VERBOSE | re.DOTALL,
)


class Kind(Enum):
    """What a token is. EDGE: the beginning and the end."""

    EDGE = auto()
    QUOTED = auto()
    ENCODED = auto()
    LITERAL = auto()
    ATOM = auto()
    SPECIAL = auto()


class Token(NamedTuple):
    """One token, and where it begins and ends."""

    kind: Kind
    text: str
    start: int
    end: int


class Untidy(ValueError):
    """The field cannot be taken apart; the text says what it has."""


def address_tokens(text: str) -> list[Token]:
    """Return the tokens in order, between two of the kind EDGE. Raises Untidy."""
    return [Token(Kind.EDGE, "", 0, 0), *_tokens(text), Token(Kind.EDGE, "", len(text), len(text))]


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        if text[position] == "(":
            end = end_of_comment(text, position)
            if end is None:
                raise Untidy("an open comment")
            position = end
            continue
        token = _TOKEN.match(text, position)
        if token is None:
            raise Untidy("an open quote or a character out of place")
        position = token.end()
        if token.lastgroup is not None and token.lastgroup != "SPACE":
            yield Token(Kind[token.lastgroup], token.group(), token.start(), position)
