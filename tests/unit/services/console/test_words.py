"""The words a message is found by, and what a searcher types."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.search_terms import address_term, domain_term, ip_term, understand
from services.console.words import MOST_RECIPIENTS, WORD_LIMIT, time_of, words_of_mail, words_of_row
from shared.ids import make_id

ID = make_id(1_700_000_000_123, 5)


def test_a_message_has_words_of_its_sender_recipients_client_subject_and_message_id() -> None:
    found = words_of_mail(
        "News@Mail.Shop.Example", ["anna@gate.example", "bert@gate.example"], "192.0.2.7", "Re: Grüße!", "<1@x.example>"
    )
    assert found == [
        "a:news@mail.shop.example", "d:mail.shop.example", "p:shop.example", "a:anna@gate.example", "d:gate.example",
        "a:bert@gate.example", "i:192.0.2.7", "s:re", "s:grüsse", "m:1@x.example",
    ]  # fmt: skip


def test_words_are_bounded_in_number_and_length() -> None:
    many = [f"r{number}@d{number}.example" for number in range(500)]
    found = words_of_mail("a" * 300 + "@x.example", many, None, " ".join(f"w{number}" for number in range(99)), None)
    assert sum(word.startswith("a:r") for word in found) == MOST_RECIPIENTS
    assert sum(word.startswith("s:") for word in found) == 12
    assert max(map(len, found)) <= WORD_LIMIT


@given(st.text(), st.lists(st.text()), st.text(), st.text(), st.text())
def test_any_text_makes_words_without_repetition(
    sender: str, to: list[str], client: str, subject: str, mid: str
) -> None:
    found = words_of_mail(sender, to, client, subject, mid)
    assert len(found) == len(set(found))
    assert all(len(word) <= WORD_LIMIT for word in found)


def test_a_recipient_that_was_cut_off_in_a_row_makes_no_word() -> None:
    whole = ", ".join(f"recipient{number:03}@gate.example" for number in range(60))[:1000]
    found = words_of_row(None, whole, None, None)
    assert "a:recipient010@gate.example" in found
    assert all(word.endswith("@gate.example") for word in found if word.startswith("a:"))


def test_the_time_of_a_word_is_that_of_the_id() -> None:
    assert time_of(ID, 9.0) == 1_700_000_000.123
    assert time_of("unknown-0123456789abcdef01", 9.0) == 9.0
    assert time_of("a1", 9.0) == 9.0


TYPED = [
    (ID, ID, ()),
    (f"[{ID.upper()}]", ID, ()),
    (f"550 5.7.1 no [{ID}]", ID, ()),
    ("Anna@Gate.Example", None, (("a:anna@gate.example", "m:anna@gate.example"),)),
    ("<1.x@gate.example>", None, (("a:1.x@gate.example", "m:1.x@gate.example"),)),
    ("@gate.example", None, (("d:gate.example", "p:gate.example"),)),
    ("gate.example.", None, (("d:gate.example", "p:gate.example"),)),
    ("bücher.example", None, (("d:xn--bcher-kva.example", "p:xn--bcher-kva.example"),)),
    ("192.0.2.7", None, (("i:192.0.2.7",),)),
    ("[IPv6:2001:DB8::0:5]", None, (("i:2001:db8::5",),)),
    ("2001:db8::/64", None, (("i:2001:db8::/64",),)),
    ("Ihre Rechnung", None, (("s:ihre",), ("s:rechnung",))),
    ("rechnung Rechnung", None, (("s:rechnung",),)),
    ("v1.2 costs", None, (("s:v1",), ("s:costs",))),
    ("", None, ()),
]


@pytest.mark.parametrize(("typed", "name", "terms"), TYPED)
def test_what_is_typed_is_understood(typed: str, name: str | None, terms: tuple[tuple[str, ...], ...]) -> None:
    found = understand(typed)
    assert (found.id, found.terms) == (name, terms)


def test_a_long_word_is_no_id() -> None:
    assert understand("a" * 26).id is None


@pytest.mark.parametrize("typed", ["?", "a", "!! --"])
def test_nothing_to_look_for_is_said(typed: str) -> None:
    with pytest.raises(ValueError, match="nothing to look for"):
        understand(typed)


@given(st.text(max_size=200))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for read in (understand, address_term, domain_term, ip_term):
        with contextlib.suppress(ValueError):
            assert read(text) is not None
