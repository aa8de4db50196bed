"""Rules of bans in the shared state: who shares one, and a form that is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bans import Ban, ban_key, decode_ban, encode_ban, is_exempt, subject_of, subject_of_text
from shared.policy import parse_policy


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1%eth0", "2001:db8:1:2::/64"),
    ],
)
def test_an_ipv4_address_stands_alone_and_an_ipv6_address_with_its_64(address: str, subject: str) -> None:
    assert subject_of(address) == subject
    assert subject_of_text(address) == subject


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("192.0.2.1/32", "192.0.2.1"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::5/128", "2001:db8:1:2::/64"),
    ],
)
def test_an_administrator_may_name_what_a_list_shows(text: str, subject: str) -> None:
    assert subject_of_text(text) == subject


@pytest.mark.parametrize("text", ["", "x", "192.0.2.0/24", "192.0.2.1/24", "2001:db8::/32", "2001:db8::1/64", "*"])
def test_what_is_no_single_client_cannot_be_banned(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        subject_of_text(text)


def test_the_key_is_for_ever() -> None:
    assert ban_key("192.0.2.1") == "ban:192.0.2.1"


@given(st.floats(0, 1e10), st.text(max_size=200), st.floats(0, 1e10), st.integers(1, 10**6))
def test_a_ban_is_read_as_it_was_written(until: float, why: str, at: float, count: int) -> None:
    ban = Ban(until, why, at, count)
    assert decode_ban(encode_ban(ban)) == ban


def test_an_older_or_later_version_is_read() -> None:
    assert decode_ban('{"until": 5, "why": "x", "at": 1, "count": 2, "by": "later"}') == Ban(5.0, "x", 1.0, 2)


@pytest.mark.parametrize(
    "value", ["", "1", "{}", "[]", "null", '{"until": null, "why": 1, "at": 1, "count": 1}', "[" * 9999]
)
def test_what_is_no_ban_is_none(value: str) -> None:
    assert decode_ban(value) is None


def test_who_may_relay_and_who_is_listed_is_never_banned() -> None:
    policy = parse_policy('[relay]\nnetworks = ["10.0.0.0/8"]\n[bans]\nnever = ["198.51.100.0/24"]')
    assert [
        address
        for address in ("10.1.2.3", "::ffff:10.1.2.3", "198.51.100.7", "192.0.2.1")
        if is_exempt(address, policy)
    ] == [
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "198.51.100.7",
    ]
