"""Senders written anew: what comes back, and what does not."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.address import Address, parse_address
from shared.errors import SettingsError
from shared.rewriting.keys import RewritingKeys, keys_of
from shared.rewriting.local_part import content_of, written
from shared.rewriting.srs import Flaw, forward, is_rewritten, reverse

KEYS = keys_of(["a secret of sixteen", "an older secret, too"])
OLDER = keys_of(["an older secret, too"])
STRANGER = keys_of(["somebody else's secret"])
DAY = 86_400.0
NOW = 20_000 * DAY
BOUNCES = 10 * DAY
SENDER = Address("Jo", "away.test")


def made(sender: Address = SENDER, keys: RewritingKeys = KEYS, now: float = NOW) -> Address:
    address = forward(sender, "ours.test", keys, now)
    assert address is not None
    return address


def test_it_names_the_sender_and_is_an_address_of_ours() -> None:
    assert made().domain == "ours.test"
    assert made().local_part.startswith("SRS0=")
    assert made().local_part.endswith("=away.test=Jo")
    assert is_rewritten(made().local_part)


@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_it_leads_back_whatever_becomes_of_its_case(change: type[str]) -> None:
    back = reverse(change(made().local_part), KEYS, NOW, BOUNCES)
    assert isinstance(back, Address)
    assert str(back).lower() == "jo@away.test"


@pytest.mark.parametrize("sign", "+-")
def test_the_sign_behind_the_word_may_change(sign: str) -> None:
    assert reverse(made().local_part.replace("SRS0=", f"SRS0{sign}"), KEYS, NOW, BOUNCES) == SENDER


@pytest.mark.parametrize(
    "local_part", ["bounce-12+x=ours.test", '"a b"', '"a@b"', '"x\\"y"', "a=b=c", "jö", "x" * 64, "a%b"]
)
def test_any_local_part_comes_back(local_part: str) -> None:
    sender = Address(local_part, "away.test")
    address = made(sender)
    assert parse_address(str(address)) == address
    assert reverse(address.local_part, KEYS, NOW, BOUNCES) == sender


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-2, Flaw.EXPIRED), (-1, SENDER), (0, SENDER), (10, SENDER), (11, Flaw.EXPIRED), (1000, Flaw.EXPIRED)],
)
def test_it_holds_for_as_long_as_bounces_are_taken(days: int, expected: Address | Flaw) -> None:
    assert reverse(made().local_part, KEYS, NOW + days * DAY, BOUNCES) == expected


def test_the_days_go_round_without_a_gap() -> None:
    for day in range(1030):
        now = day * DAY
        assert reverse(made(now=now).local_part, KEYS, now + 9 * DAY, BOUNCES) == SENDER


def test_all_secrets_are_taken_and_the_first_makes() -> None:
    assert reverse(made(keys=OLDER).local_part, KEYS, NOW, BOUNCES) == SENDER
    assert reverse(made().local_part, OLDER, NOW, BOUNCES) is Flaw.FORGED


def test_what_is_forged_changed_or_another_form_leads_nowhere() -> None:
    local_part = made().local_part
    assert reverse(local_part, STRANGER, NOW, BOUNCES) is Flaw.FORGED
    assert reverse(local_part.replace("Jo", "eve"), KEYS, NOW, BOUNCES) is Flaw.FORGED
    assert reverse(local_part.replace("away", "else"), KEYS, NOW, BOUNCES) is Flaw.FORGED
    assert reverse("SRS0=abcd=XY=away.test=jo", KEYS, NOW, BOUNCES) is Flaw.UNREADABLE
    assert reverse("jo", KEYS, NOW, BOUNCES) is Flaw.UNREADABLE
    assert reverse(local_part, RewritingKeys(), NOW, BOUNCES) is Flaw.NO_SECRET


def test_a_bounce_of_what_another_forwarder_wrote_goes_to_that_one_alone() -> None:
    first = Address("SRS0=HHH=TT=origin.test=jo", "one.test")
    second = made(first)
    assert second.local_part.startswith("SRS1=")
    assert reverse(second.local_part, KEYS, NOW, BOUNCES) == first
    third = forward(Address("SRS1=XXXX=one.test==HHH=TT=origin.test=jo", "two.test"), "ours.test", KEYS, NOW)
    assert third is not None
    assert reverse(third.local_part, KEYS, NOW, BOUNCES) == first
    assert reverse(second.local_part.replace("one.test", "evil.test"), KEYS, NOW, BOUNCES) is Flaw.FORGED
    assert reverse(second.local_part.replace("SRS1", "SRS0"), KEYS, NOW, BOUNCES) in (Flaw.FORGED, Flaw.UNREADABLE)


def test_what_would_be_longer_than_a_path_is_not_written() -> None:
    assert forward(Address("x" * 64, f"{'d' * 60}.{'e' * 60}.{'f' * 60}.test"), "ours.test", KEYS, NOW) is None
    assert forward(Address("jo", "[192.0.2.1]"), "ours.test", KEYS, NOW) is None


def test_a_secret_that_could_be_guessed_is_refused_by_its_number_and_never_shown() -> None:
    with pytest.raises(SettingsError, match="number 2"):
        keys_of(["a secret of sixteen", "short"])
    assert "secret of" not in repr(KEYS)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20))
def test_what_a_local_part_says_survives_writing(content: str) -> None:
    assert content_of(written(content)) == content


@given(
    st.one_of(st.text(), st.text(alphabet=string.ascii_letters + '=+-"\\@.', max_size=60).map(lambda t: f"SRS0={t}"))
)
def test_nothing_is_read_that_we_have_not_written(local_part: str) -> None:
    assert isinstance(reverse(local_part, KEYS, NOW, BOUNCES), Flaw)
