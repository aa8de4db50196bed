"""Tags: what is ours, of these days, and nobody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.address import Address, parse_address
from shared.rewriting.batv import Tagged, can_be_tagged, tag, untag
from shared.rewriting.keys import RewritingKeys, keys_of

KEYS = keys_of(["a secret of sixteen", "an older secret, too"])
DAY = 86_400.0
NOW = 20_000 * DAY
BOUNCES = 10 * DAY
SENDER = Address("anna", "ours.test")


def tagged(sender: Address = SENDER, keys: RewritingKeys = KEYS, now: float = NOW) -> Address:
    address = tag(sender, keys, now, BOUNCES)
    assert address is not None
    return address


def test_a_tag_has_the_form_of_the_draft() -> None:
    assert tagged().local_part.startswith("prvs=0010")
    assert tagged().local_part.endswith("=anna")
    assert len(tagged().local_part) == len("prvs=0ddd123456=anna")


@pytest.mark.parametrize("local_part", ["anna", '"a b"', "x=y", "jö", "a" * 48])
def test_what_was_tagged_is_known_again(local_part: str) -> None:
    sender = Address(local_part, "ours.test")
    assert parse_address(str(tagged(sender))) == tagged(sender)
    assert untag(tagged(sender), KEYS, NOW, BOUNCES) == Tagged(sender, proven=True)
    shouted = untag(Address(tagged(sender).local_part.upper(), "ours.test"), KEYS, NOW, BOUNCES)
    assert shouted is not None
    assert shouted.proven


@pytest.mark.parametrize(
    ("days", "proven"), [(-2, False), (-1, True), (0, True), (10, True), (11, False), (500, False)]
)
def test_a_tag_holds_for_as_long_as_bounces_are_taken(days: int, proven: bool) -> None:
    assert untag(tagged(), KEYS, NOW + days * DAY, BOUNCES) == Tagged(SENDER, proven)


def test_the_days_go_round_without_a_gap() -> None:
    for day in range(990, 1010):
        assert untag(tagged(now=day * DAY), KEYS, (day + 10) * DAY, BOUNCES) == Tagged(SENDER, proven=True)


def test_a_tag_is_of_one_address_and_of_our_secrets() -> None:
    taken = tagged().local_part
    assert untag(Address(taken.replace("anna", "bob"), "ours.test"), KEYS, NOW, BOUNCES) == Tagged(
        Address("bob", "ours.test"), proven=False
    )
    assert untag(Address(taken, "other.test"), KEYS, NOW, BOUNCES) == Tagged(Address("anna", "other.test"), False)
    assert untag(tagged(keys=keys_of(["an older secret, too"])), KEYS, NOW, BOUNCES) == Tagged(SENDER, proven=True)
    assert untag(tagged(), RewritingKeys(), NOW, BOUNCES) == Tagged(SENDER, proven=False)


def test_what_would_be_too_long_goes_without() -> None:
    assert can_be_tagged(Address("a" * 48, "ours.test"))
    assert not can_be_tagged(Address("a" * 49, "ours.test"))
    assert tag(Address("a" * 49, "ours.test"), KEYS, NOW, BOUNCES) is None


@given(st.text(max_size=70))
def test_other_local_parts_have_no_tag(local_part: str) -> None:
    assert untag(Address(local_part, "ours.test"), KEYS, NOW, BOUNCES) is None
