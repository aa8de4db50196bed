"""Browsers in which a user was logged in before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.identity.known_browser import browser_subject, is_mark_of, new_mark

SECRET = "s" * 32


def test_a_mark_is_of_one_user_and_one_secret_and_never_the_same() -> None:
    mark = new_mark(SECRET, "anna")
    assert is_mark_of(SECRET, "anna", mark)
    assert not is_mark_of(SECRET, "ben", mark)
    assert not is_mark_of("t" * 32, "anna", mark)
    assert new_mark(SECRET, "anna") != mark


@pytest.mark.parametrize(
    "change", [lambda mark: mark[:-1], lambda mark: "x" + mark, lambda mark: mark + " ", lambda _: ""]
)
def test_a_mark_that_was_changed_is_none(change: object) -> None:
    assert callable(change)
    assert not is_mark_of(SECRET, "anna", change(new_mark(SECRET, "anna")))


@given(st.text(), st.text())
def test_no_text_is_a_mark(name: str, text: str) -> None:
    assert not is_mark_of(SECRET, name, text)


def test_the_mark_itself_is_not_kept() -> None:
    mark = new_mark(SECRET, "anna")
    assert mark not in browser_subject(mark)
