"""SASLprep: one form for each user name and password, however it was typed (PURE).

Standards: RFC 4013 over RFC 3454 (stringprep), with the tables of Python's `stringprep`.
On failure: SaslprepError; it does not say which character.
"""

import stringprep
import unicodedata
from collections.abc import Callable

# RFC 4013 §2.3: what no name and no password may hold.
_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class SaslprepError(ValueError):
    """A text that is no user name and no password."""


def saslprep(text: str, *, stored: bool = False) -> str:
    """Return the prepared text. stored: it will be kept, so it has only characters that Unicode 3.2 knew.

    Raises SaslprepError.
    """
    if text.isascii() and text.isprintable():
        return text
    # RFC 4013 §2.1: other spaces are spaces, and what is commonly mapped to nothing is dropped.
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    # RFC 4013 §2.2: form KC, of Unicode 3.2.
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(prohibits(char) for char in prepared for prohibits in _PROHIBITED):
        raise SaslprepError("a character that is not allowed")
    _check_direction(prepared)
    # RFC 4013 §2.5.
    if stored and any(stringprep.in_table_a1(char) for char in prepared):
        raise SaslprepError("a character that Unicode 3.2 does not know")
    return prepared


def _check_direction(text: str) -> None:
    """RFC 3454 §6: text from right to left stands alone, and begins and ends with itself."""
    right_to_left = [stringprep.in_table_d1(char) for char in text]
    if any(right_to_left):
        mixed = any(stringprep.in_table_d2(char) for char in text)
        if mixed or not right_to_left[0] or not right_to_left[-1]:
            raise SaslprepError("text from left to right within text from right to left")
