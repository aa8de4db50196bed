"""Each key of `reverse` and `dns_lists`, and `greet_wait_s`, over a real socket: what changes when it is set."""

import asyncio
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from shared.policy import parse_policy
from tests.dnsserver import DnsServer, Fault, Records
from tests.integration.edge.proxied import (
    CLIENT,
    CLIENT6,
    OTHER,
    ZONE,
    edge_with,
    greeting,
    recipient,
    rules,
)

LISTED_6 = ip_address(CLIENT6).reverse_pointer.removesuffix(".ip6.arpa")
LIST_ZONE: Records = {**ZONE, f"{LISTED_6}.bl.test": {"A": "127.0.0.2"}}
PTR = "9.113.0.203.in-addr.arpa"


async def test_switched_off_names_are_neither_asked_for_nor_missed(certificate: Path) -> None:
    text = rules('[reverse]\nenabled = false\nmissing = "deny"\n')
    async with DnsServer(ZONE) as dns, edge_with(certificate, text, dns) as edge:
        assert (await recipient(edge, OTHER)).startswith("250")
        assert (await recipient(edge, CLIENT)).startswith("250")
        assert dns.count(PTR, "PTR") == 0


async def test_switched_off_names_are_asked_for_where_a_rule_wants_them(certificate: Path) -> None:
    text = rules('[reverse]\nenabled = false\n[[access]]\naction = "deny"\nreverse_names = [".good.test"]\n')
    async with DnsServer(ZONE) as dns, edge_with(certificate, text, dns) as edge:
        assert (await greeting(edge, CLIENT)).startswith("554 5.7.1")


async def test_a_name_is_awaited_no_longer_than_allowed(certificate: Path) -> None:
    text = rules('[reverse]\nmissing = "deny"\ntimeout_s = 0.4\n')
    async with DnsServer(ZONE) as dns, edge_with(certificate, text, dns) as edge:
        dns.fail(PTR, "PTR", Fault.TIMEOUT)
        started = time.monotonic()
        assert (await recipient(edge, CLIENT)).startswith("250")
        assert 0.4 <= time.monotonic() - started < 2


@pytest.mark.parametrize(("ipv6", "begins"), [("true", "550 5.7.1"), ("false", "250")])
async def test_a_list_is_asked_about_ipv6_where_it_knows_any(certificate: Path, ipv6: str, begins: str) -> None:
    text = rules(f'[dns_lists]\nlists = [{{ zone = "bl.test", ipv6 = {ipv6} }}]\n')
    async with DnsServer(LIST_ZONE) as dns, edge_with(certificate, text, dns) as edge:
        assert (await recipient(edge, CLIENT6)).startswith(begins)
        assert dns.count(f"{LISTED_6}.bl.test", "A") == (ipv6 == "true")
        assert (await recipient(edge, OTHER)).startswith("550 5.7.1")


@pytest.mark.parametrize(("probe", "begins"), [("true", "250"), ("false", "550 5.7.1")])
async def test_a_list_without_test_entries_counts_where_it_is_not_probed(
    certificate: Path, probe: str, begins: str
) -> None:
    untested: Records = {name: records for name, records in ZONE.items() if not name.startswith("2.0.0.127")}
    text = rules(f'[dns_lists]\nlists = [{{ zone = "bl.test", probe = {probe} }}]\n')
    async with DnsServer(untested) as dns, edge_with(certificate, text, dns) as edge:
        assert (await recipient(edge, OTHER)).startswith(begins)


@pytest.mark.parametrize(
    ("keys", "begins"),
    [
        ("refuse_at = 5", "550 5.7.1"),
        ("refuse_at = 6", "250"),
        ("refuse_at = 6\ndefer_at = 5", "450 4.7.1"),
        ("refuse_at = 9\ndefer_at = 6", "250"),
    ],
)
async def test_the_score_decides(certificate: Path, keys: str, begins: str) -> None:
    text = rules(f'[dns_lists]\n{keys}\nlists = [{{ zone = "bl.test", score = 5 }}]\n')
    async with DnsServer(ZONE) as dns, edge_with(certificate, text, dns) as edge:
        assert (await recipient(edge, OTHER)).startswith(begins)


@pytest.mark.parametrize(("share", "stays"), [("0.95", False), ("1", True)])
async def test_a_list_that_has_everybody_is_suspected_unless_that_is_switched_off(
    certificate: Path, share: str, stays: bool
) -> None:
    text = rules(
        f'[limits]\nconnection_rate = "unlimited"\n[dns_lists]\nmax_hit_share = {share}\n'
        'lists = [{ zone = "bl.test", probe = false }]\n'
    )
    async with DnsServer({"*.bl.test": {"A": "127.0.0.2"}}) as dns, edge_with(certificate, text, dns) as edge:
        for number in range(100):
            await greeting(edge, f"198.51.100.{number}")
        health = edge.defences.lookups.health
        await health.probe_due()
        assert health.is_up("bl.test") is stays


async def test_lists_are_probed_again_after_the_interval(certificate: Path) -> None:
    text = rules('[dns_lists]\nprobe_interval_s = 10\nlists = [{ zone = "bl.test" }]\n')
    async with DnsServer(ZONE) as dns, edge_with(certificate, text, dns) as edge:
        (state,) = edge.defences.lookups.health._states.values()
        left_s = state.due_s - asyncio.get_running_loop().time()
        assert 5 < left_s <= 10
        edge.defences.follow(parse_policy(text.replace("= 10\nlists", "= 600\nlists")))
        assert state.due_s - asyncio.get_running_loop().time() <= 10


async def waited(edge_text: str, certificate: Path, listener: str, address: str = CLIENT) -> float:
    async with edge_with(certificate, edge_text) as edge:
        started = time.monotonic()
        assert (await greeting(edge, address, listener)).startswith("220")
        return time.monotonic() - started


async def test_the_wait_for_the_greeting_is_the_listeners_and_of_inbound_ones_alone(certificate: Path) -> None:
    more = 'greet_wait_s = 0.5\nproxy_from = ["127.0.0.0/8"]\n'
    text = rules(
        f'[listeners.submission]\npurpose = "submission"\n{more}[listeners.relay]\npurpose = "relay"\n{more}'
    ).replace("greet_wait_s = 0\n", "greet_wait_s = 0.5\n", 1)
    assert await waited(text, certificate, "mx") >= 0.5
    for listener in ("proxied", "submission", "relay"):
        assert await waited(text, certificate, listener) < 0.4


async def test_whom_a_rule_allows_and_exempt_networks_do_not_wait(certificate: Path) -> None:
    text = rules("").replace("greet_wait_s = 0", "greet_wait_s = 0.5")
    for more in (
        '[[access]]\naction = "allow"\nnetworks = ["203.0.113.0/24"]\n',
        '[limits]\nexempt_networks = ["203.0.113.0/24"]\n',
    ):
        assert await waited(text + more, certificate, "mx") < 0.4
        assert await waited(text + more, certificate, "mx", OTHER) >= 0.5
