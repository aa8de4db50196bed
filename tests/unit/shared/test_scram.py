"""What is kept of a password for SCRAM."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.scram import ScramKeys, derive_keys, parse_keys

# RFC 7677 §3.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


def test_the_text_form_is_read_and_written_for_ever() -> None:
    keys = derive_keys("pencil", SALT, 4096)
    text = (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert str(keys) == text
    assert parse_keys(text) == keys


def test_keys_are_not_shown_by_accident() -> None:
    keys = derive_keys("pencil", SALT, 1)
    assert repr(keys.stored_key) not in repr(keys)
    assert repr(keys.server_key) not in repr(keys)


@given(st.integers(1, 999_999_999), st.binary(min_size=1, max_size=64), st.binary(min_size=32, max_size=32))
def test_all_keys_survive_their_text_form(iterations: int, salt: bytes, key: bytes) -> None:
    keys = ScramKeys(iterations, salt, key, key[::-1])
    assert parse_keys(str(keys)) == keys


@pytest.mark.parametrize(
    "text",
    [
        "",
        "later",
        "SCRAM-SHA-1$4096:c2FsdA==$YQ==:YQ==",
        "SCRAM-SHA-256$0:c2FsdA==$YQ==:YQ==",
        "SCRAM-SHA-256$4096:c2FsdA==$YQ==:YQ==",
        "SCRAM-SHA-256$4096:=$YQ==:YQ==",
    ],
)
def test_what_are_no_keys_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the keys"):
        parse_keys(text)
