"""Zones that leave us waiting: when they rest, when they are tried again, and whom that touches."""

import pytest

from shared.dns.silence import (
    FIRST_REST_S,
    MAX_REST_S,
    MAX_WAITS,
    WINDOW_S,
    SilentZones,
    common_suffix,
    zone_of,
)

ZONE = ("a.test", "TXT")
NOW = 1000.0


def silent(*names: str) -> SilentZones:
    """Return zones of which a.test rests since NOW, after waits in vain for these names in turn."""
    zones = SilentZones()
    asked = [(names[number % len(names)] if names else "a.test", "TXT") for number in range(MAX_WAITS)]
    assert [bool(zones.waited(question, NOW)) for question in asked] == [False] * (MAX_WAITS - 1) + [True]
    return zones


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("test", "test"),
        ("a.test", "a.test"),
        ("_dmarc.a.test", "a.test"),
        ("s1._domainkey.mail.a.test", "a.test"),
        ("mail.a.co.uk", "a.co.uk"),
        ("a.co.uk", "a.co.uk"),
        ("co.uk", "co.uk"),
        ("x.mail.a.com.au", "a.com.au"),
        ("x.mail.example.de", "example.de"),
        ("1.2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa"),
        (".".join("0123456789abcdef0123456789abcdef") + ".ip6.arpa", ".".join("456789abcdef") + ".ip6.arpa"),
    ],
)
def test_a_name_counts_for_the_zone_that_it_is_most_likely_of(name: str, zone: str) -> None:
    assert zone_of(name) == zone


def test_a_zone_rests_after_so_many_waits_in_vain() -> None:
    zones = silent()
    assert not zones.may_ask(ZONE, NOW)
    assert zones.rests(ZONE, NOW)


def test_fewer_waits_change_nothing() -> None:
    zones = SilentZones()
    for _ in range(MAX_WAITS - 1):
        zones.waited(ZONE, NOW)
    assert zones.may_ask(ZONE, NOW)
    assert not zones.rests(ZONE, NOW)


def test_other_zones_and_types_do_not_rest_with_it() -> None:
    zones = silent()
    for question in (("a.test", "MX"), ("b.test", "TXT"), ("test", "TXT")):
        assert zones.may_ask(question, NOW)


def test_an_answer_lets_everybody_ask_again() -> None:
    zones = silent()
    zones.answered(ZONE)
    assert zones.may_ask(ZONE, NOW)
    assert len(zones) == 0


def test_an_answer_between_waits_begins_the_count_anew() -> None:
    zones = SilentZones()
    for _ in range(3 * MAX_WAITS):
        zones.waited(ZONE, NOW)
        zones.answered(ZONE)
    assert zones.may_ask(ZONE, NOW)


def test_waits_long_ago_do_not_count() -> None:
    zones = SilentZones()
    for step in range(3 * MAX_WAITS):
        zones.waited(ZONE, NOW + step * (WINDOW_S + 1))
    assert zones.may_ask(ZONE, NOW)


def test_after_a_rest_one_may_ask_and_the_others_not() -> None:
    zones = silent()
    later = NOW + FIRST_REST_S
    assert [zones.may_ask(ZONE, later) for _ in range(5)] == [True, False, False, False, False]


def test_a_zone_that_is_still_silent_rests_twice_as_long_up_to_a_limit() -> None:
    zones = silent()
    now_s, rest_s = NOW, FIRST_REST_S
    for _ in range(8):
        assert not zones.may_ask(ZONE, now_s + rest_s - 0.1)
        now_s += rest_s
        assert zones.may_ask(ZONE, now_s)
        assert zones.waited(ZONE, now_s + 1)
        now_s, rest_s = now_s + 1, min(2 * rest_s, MAX_REST_S)
    assert rest_s == MAX_REST_S


def test_those_who_waited_before_the_rest_do_not_lengthen_it() -> None:
    zones = silent()
    for _ in range(100):
        assert not zones.waited(ZONE, NOW + 1)
    assert zones.may_ask(ZONE, NOW + FIRST_REST_S)


def test_one_who_asks_and_never_says_what_came_of_it_does_not_silence_a_zone_for_ever() -> None:
    zones = silent()
    for turn in range(1, 5):
        assert zones.may_ask(ZONE, NOW + turn * FIRST_REST_S)


def test_however_many_zones_are_silent_so_many_are_remembered() -> None:
    zones = SilentZones(max_zones=100)
    for number in range(1000):
        zones.waited((f"a{number}.test", "TXT"), NOW)
    assert len(zones) == 100


def test_all_names_of_the_zone_rest_when_silent_ones_are_all_over_it() -> None:
    zones = silent("a.test", "_dmarc.a.test", "mail.a.test")
    for name in ("a.test", "new.a.test", "s1._domainkey.a.test"):
        assert not zones.may_ask((name, "TXT"), NOW)


def test_a_silent_part_of_a_zone_rests_alone() -> None:
    zones = silent("x.lost.a.test", "y.lost.a.test")
    assert not zones.may_ask(("z.lost.a.test", "TXT"), NOW)
    for name in ("a.test", "_dmarc.a.test", "www.a.test"):
        assert zones.may_ask((name, "TXT"), NOW)


def test_what_lies_beside_a_silent_part_must_be_seen_to_be_silent_as_often() -> None:
    zones = silent("x.lost.a.test")
    for _ in range(MAX_WAITS - 1):
        assert not zones.waited(("www.a.test", "TXT"), NOW)
        assert zones.may_ask(("www.a.test", "TXT"), NOW)
    assert zones.waited(("www.a.test", "TXT"), NOW) == "a.test"
    assert not zones.may_ask(("x.lost.a.test", "TXT"), NOW)


@pytest.mark.parametrize(
    ("one", "other", "suffix"),
    [
        ("a.test", "a.test", "a.test"),
        ("x.a.test", "a.test", "a.test"),
        ("x.a.test", "y.a.test", "a.test"),
        ("a", "b", ""),
    ],
)
def test_the_common_suffix_goes_by_labels(one: str, other: str, suffix: str) -> None:
    assert common_suffix(one, other) == common_suffix(other, one) == suffix
