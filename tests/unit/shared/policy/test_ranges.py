"""Rules of address ranges, against sets of small numbers and against Python's own network arithmetic."""

from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.ranges import EVERYTHING, Range, public_4, public_6, ranges_of, size, united, without

_range = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
_ranges = st.lists(_range, max_size=8)


def members(ranges: list[Range]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def in_order(ranges: list[Range]) -> bool:
    return all(left[1] + 1 < right[0] for left, right in pairwise(ranges))


@given(_ranges)
def test_a_union_has_every_member_once(ranges: list[Range]) -> None:
    made = united(ranges)
    assert members(made) == members(ranges)
    assert size(made) == len(members(ranges))
    assert in_order(made)


@given(_ranges, _ranges)
def test_a_difference_has_what_the_second_has_not(ranges: list[Range], taken: list[Range]) -> None:
    left = without(united(ranges), united(taken))
    assert members(left) == members(ranges) - members(taken)
    assert size(left) == len(members(left))


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=20))
def test_networks_are_measured_as_python_does(pairs: list[tuple[int, int]]) -> None:
    networks = [IPv4Network(pair, strict=False) for pair in pairs]
    assert size(ranges_of(networks)[0]) == sum(one.num_addresses for one in collapse_addresses(networks))


@pytest.mark.parametrize(
    ("network", "public"),
    [
        ("10.0.0.0/8", 0),
        ("100.64.0.0/10", 0),
        ("127.0.0.0/8", 0),
        ("192.168.0.0/16", 0),
        ("224.0.0.0/3", 0),
        ("8.8.8.0/24", 256),
        ("193.0.0.0/20", 4096),
        ("172.0.0.0/8", 2**24 - 2**20),
    ],
)
def test_public_is_what_strangers_may_have(network: str, public: int) -> None:
    assert size(public_4(ranges_of([IPv4Network(network)])[0])) == public


@pytest.mark.parametrize("network", ["fc00::/7", "fe80::/10", "ff00::/8", "::1/128", "2001:db8::/32", "3fff::/20"])
def test_ipv6_that_is_local_or_for_documents_is_not_public(network: str) -> None:
    assert public_6(ranges_of([IPv6Network(network)])[1]) == []


@pytest.mark.parametrize(
    ("network", "inside"),
    [
        ("64:ff9b::/96", "0.0.0.0/0"),
        ("64:ff9b::800:0/104", "8.0.0.0/8"),
        ("64:ff9b::808:808/128", "8.8.8.8/32"),
        ("64:ff9b:1::/48", "0.0.0.0/0"),
        ("64:ff9b:1:2::800:0/104", "8.0.0.0/8"),
        ("2002::/16", "0.0.0.0/0"),
        ("2002:808::/32", "8.8.0.0/16"),
        ("2002:808:808::/48", "8.8.8.8/32"),
        ("2002:808:808:1::/64", "8.8.8.8/32"),
        ("2001::/32", "0.0.0.0/0"),
        ("::/0", "0.0.0.0/0"),
        ("::/3", "0.0.0.0/0"),
    ],
)
def test_ipv4_in_ipv6_counts_as_what_it_is(network: str, inside: str) -> None:
    assert ranges_of([IPv6Network(network)])[0] == ranges_of([IPv4Network(inside)])[0]


@pytest.mark.parametrize("network", ["2a01:4f8::/32", "fd00::/8", "64:ff9a::/32", "2001:db8::/32"])
def test_usual_ipv6_translates_nothing(network: str) -> None:
    assert ranges_of([IPv6Network(network)])[0] == []


def test_everything_is_both_internets() -> None:
    four, six = ranges_of([IPv4Network("0.0.0.0/0"), IPv6Network("::/0")])
    assert (four, six) == EVERYTHING
