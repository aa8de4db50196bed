"""Links in reports of quarantine: only ours, only as they were made, only in time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.digest.token import VALID_S, Ask, BadToken, Ticket, read_token, token_of

SECRET = "0123456789abcdef0123456789abcdef"
TICKET = Ticket("01j0000000000000000000abcd", "0a1b2c3d", "demo@gatepost.test", 1_000 + VALID_S, Ask.RELEASE)


def test_a_link_is_read_as_it_was_made() -> None:
    assert read_token(token_of(TICKET, SECRET), SECRET, 1_000.0) == TICKET


def test_a_link_ends() -> None:
    assert read_token(token_of(TICKET, SECRET), SECRET, TICKET.ends_at - 1)
    with pytest.raises(BadToken):
        read_token(token_of(TICKET, SECRET), SECRET, TICKET.ends_at)


def test_a_link_of_another_secret_is_none() -> None:
    with pytest.raises(BadToken):
        read_token(token_of(TICKET, SECRET[::-1]), SECRET, 1_000.0)


def test_no_letter_of_a_link_can_be_changed() -> None:
    token = token_of(TICKET, SECRET)
    for place, letter in enumerate(token):
        changed = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        with pytest.raises(BadToken):
            read_token(changed, SECRET, 1_000.0)


@given(st.text(max_size=200))
def test_text_that_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        read_token(text, SECRET, 0.0)


def test_a_long_address_fits_a_link() -> None:
    local, domain = "l" * 64, ".".join(["d" * 60] * 4)
    ticket = Ticket("x" * 40, "p" * 16, f"{local}@{domain}", 1_000 + VALID_S, Ask.ASK)
    assert read_token(token_of(ticket, SECRET), SECRET, 1_000.0) == ticket
