"""Rules of the matchers: all must fit, one of a list is enough, and what is not known yet is neither yes nor no."""

import itertools
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy import PolicyError, parse_policy
from shared.policy.client import (
    Certificate,
    ClientFacts,
    ClientMatch,
    Fit,
    NetworkIndex,
    fits_certificate,
    in_networks,
    network_of,
    plain_ip,
)
from tests.cpu_time import least_cpu_s

NETWORKS = {"networks": ["192.0.2.0/24", "2001:db8::/32"]}


def facts(address: str = "192.0.2.7", **known: str | None) -> ClientFacts:
    return ClientFacts(plain_ip(address), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("matchers", "client", "fit"),
    [
        ({}, facts(), Fit.YES),
        (NETWORKS, facts(), Fit.YES),
        (NETWORKS, facts("::ffff:192.0.2.7"), Fit.YES),
        (NETWORKS, facts("2001:db8::5"), Fit.YES),
        (NETWORKS, facts("198.51.100.1"), Fit.NO),
        (NETWORKS, facts("2001:db9::5"), Fit.NO),
        ({"reverse_names": [".a.test"]}, facts(), Fit.UNKNOWN),
        ({"reverse_names": [".a.test"]}, facts(name=""), Fit.NO),
        ({"reverse_names": [".a.test"]}, facts(name="mx.a.test"), Fit.YES),
        ({"reverse_names": [".a.test"]}, facts(name="mx.b.test"), Fit.NO),
        ({"reverse_names": ["unknown"]}, facts(name=""), Fit.YES),
        ({"reverse_names": ["unknown"]}, facts(), Fit.UNKNOWN),
        ({"reverse_names": ["*"]}, facts(name=""), Fit.NO),
        ({"helo_names": [".a.test"]}, facts(), Fit.UNKNOWN),
        ({"helo_names": [".a.test", "x"]}, facts(helo="X"), Fit.YES),
        ({"helo_names": [".a.test"]}, facts(helo="[192.0.2.7]"), Fit.NO),
        ({"countries": ["de"]}, facts(country="DE"), Fit.YES),
        ({"countries": ["DE"]}, facts(country="FR"), Fit.NO),
        ({"countries": ["DE"]}, facts(), Fit.NO),
        ({**NETWORKS, "helo_names": ["x"]}, facts("198.51.100.1"), Fit.NO),
        ({"reverse_names": [".a.test"], "helo_names": ["x"]}, facts(helo="y"), Fit.NO),
        ({"reverse_names": [".a.test"], "helo_names": ["x"]}, facts(helo="x"), Fit.UNKNOWN),
        ({"reverse_names": [".a.test"], "helo_names": ["x"]}, facts(name="a.test"), Fit.UNKNOWN),
        ({"reverse_names": [".a.test"], "helo_names": ["x"]}, facts(name="a.test", helo="x"), Fit.YES),
    ],
)
def test_a_client_fits(matchers: dict[str, list[str]], client: ClientFacts, fit: Fit) -> None:
    assert ClientMatch.model_validate(matchers).fit(client) is fit


def test_what_is_learned_later_never_turns_a_yes_or_a_no() -> None:
    values: dict[str, list[str | None]] = {"name": [None, "", "a.test", "b.test"], "helo": [None, "x", "y"]}
    matches = [
        ClientMatch.model_validate({"reverse_names": names, "helo_names": helos})
        for names in ([], [".a.test"], ["unknown"])
        for helos in ([], ["x"])
    ]
    for match, (name, helo) in itertools.product(matches, itertools.product(values["name"], values["helo"])):
        before = match.fit(facts(name=name, helo=helo))
        later = {
            match.fit(facts(name=name if name is not None else new_name, helo=helo if helo is not None else new_helo))
            for new_name, new_helo in itertools.product(values["name"][1:], values["helo"][1:])
        }
        assert Fit.UNKNOWN not in later
        assert before is Fit.UNKNOWN or later == {before}


_networks = st.lists(
    st.tuples(st.sampled_from([IPv4Address, IPv6Address]), st.integers(0, 3), st.integers(24, 32)).map(
        lambda one: ip_network(f"{one[0](one[1] << 6)}/{one[2]}", strict=False)
    ),
    max_size=5,
)


@given(_networks, st.sampled_from([IPv4Address, IPv6Address]), st.integers(0, 300))
def test_an_index_has_what_the_networks_have(
    networks: list[IPv4Network | IPv6Network], family: type[IPv4Address | IPv6Address], number: int
) -> None:
    address = family(number)
    assert NetworkIndex(networks).has(address) is in_networks(networks, address)


def test_a_long_deny_list_costs_a_connection_next_to_nothing() -> None:
    networks = [f"{first}.{second}.0.0/24" for first in range(1, 41) for second in range(250)]
    match = ClientMatch.model_validate({"networks": [*networks, "2001:db8::/32"]})
    match.fit(facts())

    def ask_a_thousand_times() -> None:
        for _ in range(1000):
            assert match.fit(facts("203.0.113.1")) is Fit.NO

    assert least_cpu_s(ask_a_thousand_times) < 0.1


@pytest.mark.parametrize("country", ["", "D", "DEU", "d1", "ÄÖ"])
def test_what_is_no_country_is_refused(country: str) -> None:
    with pytest.raises(PolicyError, match="ISO 3166"):
        parse_policy(f"[[access]]\naction = 'deny'\ncountries = ['{country}']")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_rules_see_an_address_in_one_form(text: str, plain: str) -> None:
    assert plain_ip(text) == ip_address(plain)


@pytest.mark.parametrize(
    ("address", "network"), [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64")]
)
def test_a_network_shares_the_fate_of_an_address(address: str, network: str) -> None:
    assert str(network_of(plain_ip(address))) == network


def test_no_certificate_fits_nothing() -> None:
    assert not fits_certificate(["verified"], None)
    assert fits_certificate(["verified"], Certificate("ab" * 32, "CN=x"))
    assert not fits_certificate([], Certificate("ab" * 32, "CN=x"))
