"""Rules against an open relay: many tries to make one, and what an organisation rightly has."""

import time
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy import PolicyError, Relay, parse_policy
from shared.policy.client import ClientFacts
from shared.policy.open_relay import find_open_relay
from shared.policy.relay import RelayRule

ALL = "0.0.0.0/0"
HASH = "sha256:" + "ab" * 32


def listed(*networks: str) -> str:
    return f"[relay]\nnetworks = {list(networks)}\n"


def rule(action: str, **matchers: list[str]) -> str:
    return f"[[relay.rules]]\naction = '{action}'\n" + "".join(f"{key} = {value}\n" for key, value in matchers.items())


OPEN = {
    "all of IPv4": listed(ALL),
    "all of IPv6": listed("::/0"),
    "a half": listed("0.0.0.0/1"),
    "two halves": listed("0.0.0.0/1", "128.0.0.0/1"),
    "an eighth of a quarter": listed("0.0.0.0/5"),
    "a public /8": listed("8.0.0.0/8"),
    "private addresses, and what is around them": listed("0.0.0.0/4"),
    "a /10": listed("193.0.0.0/10"),
    "many /14 that lie apart": listed(*(f"{first}.4.0.0/14" for first in range(193, 203))),
    "65,536 neighbours of one /24 each": listed(*(f"193.{i}.{j}.0/24" for i in range(50) for j in range(256))),
    "all of IPv6 that is assigned": listed("2000::/3"),
    "a registry's IPv6": listed("2a00::/12"),
    "IPv6 in pieces": listed(*(f"2a0{digit}::/16" for digit in range(10))),
    "IPv6 that will be assigned": listed("4000::/2"),
    "IPv4 behind NAT64": listed("64:ff9b::/96"),
    "a public /8 behind NAT64": listed("64:ff9b::800:0/104"),
    "IPv4 behind a NAT64 of one's own": listed("64:ff9b:1::/48"),
    "6to4": listed("2002::/16"),
    "Teredo": listed("2001::/32"),
    "a rule for all": rule("allow", networks=[ALL]),
    "a rule for senders that can be forged": rule("allow", networks=[ALL], senders=["@ours.test"]),
    "a rule for the null sender": rule("allow", networks=["::/0"], senders=["<>"]),
    "a rule for some recipients elsewhere": rule("allow", networks=[ALL], recipients=["@partner.test"]),
    "pieces in the list and in rules": listed("193.0.0.0/11") + rule("allow", networks=["194.0.0.0/11"]),
    "a denial that comes too late": rule("allow", networks=[ALL]) + rule("deny", networks=[ALL]),
    "a denial of other senders": listed(ALL) + rule("deny", senders=["@bad.test"]),
    "a denial of other recipients": rule("deny", recipients=["@bad.test"]) + rule("allow", networks=[ALL]),
    "a denial of a login": rule("deny", logins=["anna"]) + rule("allow", networks=[ALL]),
    "a denial of a certificate": rule("deny", certificates=["verified"]) + rule("allow", networks=[ALL]),
    "a denial of a half": rule("deny", networks=["0.0.0.0/1"]) + rule("allow", networks=[ALL]),
    "PROXY from all": "[listeners.mx]\npurpose = 'inbound'\nproxy_from = ['0.0.0.0/0']\n",
    "PROXY from all of IPv6": "[listeners.mx]\npurpose = 'inbound'\nproxy_from = ['::/0']\n",
    "PROXY from two halves": "[listeners.mx]\npurpose = 'inbound'\nproxy_from = ['0.0.0.0/1', '128.0.0.0/1']\n",
    "XCLIENT from all": "[listeners.mx]\npurpose = 'inbound'\nxclient_from = ['::/0']\n",
    "XCLIENT from a public /8": "[listeners.in]\npurpose = 'relay'\nxclient_from = ['11.0.0.0/8']\n",
}  # fmt: skip

CLOSED = {
    "nothing": "",
    "private networks": listed("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "169.254.0.0/16"),
    "a carrier's NAT": listed("100.64.0.0/10"),
    "loopback and link-local": listed("127.0.0.0/8", "::1/128", "fe80::/10"),
    "addresses for documents": listed("2001:db8::/32", "192.0.2.0/24", "198.51.100.0/24"),
    "an organisation's /20": listed("193.0.0.0/20"),
    "an organisation's /16 and its IPv6 /29": listed("193.99.0.0/16", "2a01:4f8::/29"),
    "a cloud's proxies": listed("104.16.0.0/13", "172.64.0.0/13"),
    "an organisation's /20 behind NAT64": listed("64:ff9b::c100:0/116"),
    "its 6to4": listed("2002:c100::/36"),
    "a relay listener": "[listeners.out]\npurpose = 'relay'\n" + listed("193.0.0.0/20"),
    "a certificate by its fingerprint": rule("allow", certificates=[HASH]),
    "a certificate from anywhere": rule("allow", networks=[ALL], certificates=[HASH]),
    "a login from anywhere": rule("allow", networks=[ALL], logins=["anna"]),
    "all, after all were denied": rule("deny") + rule("allow", networks=[ALL]),
    "all, after both halves were denied": rule("deny", networks=["0.0.0.0/1", "128.0.0.0/1"])
    + rule("allow", networks=[ALL]),
    "all but what was denied": rule("deny", networks=["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/8", "194.0.0.0/7",
        "196.0.0.0/6", "200.0.0.0/5", "208.0.0.0/4", "193.128.0.0/9", "193.64.0.0/10", "193.32.0.0/11"])
    + rule("allow", networks=[ALL]),
    "a listed proxy": "[listeners.mx]\npurpose = 'inbound'\nproxy_from = ['10.0.0.5/32']\nxclient_from = ['::1/128']\n",
}  # fmt: skip


@pytest.mark.parametrize("text", OPEN.values(), ids=OPEN)
def test_an_open_relay_is_refused_with_a_proof(text: str) -> None:
    with pytest.raises(PolicyError, match=r"open relay: (a client at|listeners)"):
        parse_policy(text)


@pytest.mark.parametrize("text", CLOSED.values(), ids=CLOSED)
def test_what_an_organisation_has_is_taken(text: str) -> None:
    parse_policy(text)


def test_the_proof_names_an_address_that_may_relay_and_a_sender_that_is_trusted() -> None:
    with pytest.raises(PolicyError, match=r"a client at 8\.127\.255\.255 could send from <ceo@ours\.test> to"):
        parse_policy(rule("allow", networks=["8.0.0.0/8"], senders=["ceo@ours.test"]))
    with pytest.raises(PolicyError, match=r"listeners\.x\.proxy_from lets 11\.127\.255\.255 claim to be any client"):
        parse_policy("[listeners.x]\npurpose = 'relay'\nproxy_from = ['11.0.0.0/8']\n")


@pytest.mark.parametrize(
    ("mapped", "plain"),
    [("::ffff:0:0/96", "0.0.0.0/0"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::ffff:8.8.8.8/128", "8.8.8.8/32")],
)
def test_ipv4_that_is_mapped_into_ipv6_is_to_be_written_as_ipv4(mapped: str, plain: str) -> None:
    with pytest.raises(PolicyError, match=f"write {plain}"):
        parse_policy(listed(mapped))


_network = st.builds(
    lambda first, second, prefix: (
        f"{first & (0xFF << (8 - min(prefix, 8))) & 0xFF}.{second if prefix == 16 else 0}.0.0/{prefix}"
    ),
    st.integers(0, 223),
    st.integers(0, 255),
    st.sampled_from([0, 1, 3, 6, 8, 16]),
)
_rule = st.builds(
    RelayRule,
    action=st.sampled_from(["allow", "deny"]),
    networks=st.lists(_network, min_size=1, max_size=3),
    senders=st.sampled_from([[], ["@a.test"], ["<>"]]),
    recipients=st.sampled_from([[], ["@b.test"]]),
)


@settings(max_examples=150, deadline=None)
@given(st.builds(Relay, networks=st.lists(_network, max_size=2), rules=st.lists(_rule, max_size=4)))
def test_of_what_is_taken_hardly_any_stranger_may_relay(relay: Relay) -> None:
    if find_open_relay({}, relay) is not None:
        return
    strangers = [ClientFacts(IPv4Address((first << 24) + (77 << 16) + 9), "", "x") for first in range(1, 224)]
    tries = [("", "x@c.test"), ("x@a.test", "x@b.test"), ("x@c.test", "x@b.test"), ("x@a.test", "x@c.test")]
    through = [one.address for one in strangers if any(relay.judge(one, *attempt) for attempt in tries)]
    assert [address for address in through if address.is_global] == [] or len(through) <= 32


def test_no_stranger_of_ipv6_may_relay_by_an_ipv4_rule() -> None:
    relay = parse_policy(listed("10.0.0.0/8")).relay
    for text in ("::ffff:10.0.0.1", "::a00:1", "64:ff9b::a00:1", "2002:a00:1::1"):
        assert not relay.judge(ClientFacts(IPv6Address(text)), "", "x@away.test")


def test_a_large_document_is_judged_soon() -> None:
    document = "".join(f"[domains.'d{i}.test']\nroute = 'mx'\nrecipients = ['a', 'b*']\n" for i in range(1000))
    for number in range(200):
        action = "allow" if number % 2 else "deny"
        document += rule(action, networks=[f"10.{number}.0.0/16", f"193.{number}.0.0/20"], senders=[f"@a{number}.test"])
        document += f"[[access]]\naction = 'deny'\nnetworks = ['10.{number}.0.0/16']\n"
        document += f"[[clients]]\nname = 'r{number}'\nmessages = '10/min'\n"
    begin = time.process_time()
    parse_policy(document)
    assert time.process_time() - begin < 1


def test_many_rules_that_alternate_over_many_networks_are_judged_soon() -> None:
    rules = [
        RelayRule(
            action="deny" if number % 2 else "allow",
            networks=[f"{first}.{number % 256}.{number // 256}.0/24" for first in range(1, 21)],
        )
        for number in range(1000)
    ]
    relay = Relay(networks=[ALL], rules=rules)
    begin = time.process_time()
    assert find_open_relay({}, relay) is not None
    assert time.process_time() - begin < 3
