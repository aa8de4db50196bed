"""Before the greeting: access rules, bans, places, rates, names, DNS lists and early talk, each over a real socket.

Clients come through a proxy that says whom it speaks for, so that each test chooses its client's address.
"""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.dnsserver import DnsServer, Fault, Records
from tests.integration.edge.gate import id_in
from tests.integration.edge.proxied import (
    CLIENT,
    CLIENT6,
    NEIGHBOUR,
    NEIGHBOUR6,
    OTHER,
    ZONE,
    client_at,
    edge_with,
    greeting,
    recipient,
    rules,
)

# ---- access rules


@pytest.mark.parametrize(
    "action, begins",
    [("allow", "220"), ("deny", "554 5.7.1 Access denied"), ("defer", "421 4.7.1"), ("drop", ""), ("tarpit", "554")],
)
async def test_a_global_rule_decides_for_its_networks(certificate: Path, action: str, begins: str) -> None:
    text = rules(
        f'[[access]]\naction = "{action}"\nnetworks = ["203.0.113.0/24", "2001:db8:1::/48"]\n[limits]\ntarpit_s = 0.3\n'
    )
    async with edge_with(certificate, text) as edge:
        for address in (CLIENT, CLIENT6):
            reply = await greeting(edge, address)
            assert reply.startswith(begins) if begins else reply == ""
        assert (await greeting(edge, OTHER)).startswith("220")


async def test_the_first_matching_rule_wins_and_the_listeners_own_come_first(certificate: Path) -> None:
    text = rules(
        '[[access]]\naction = "deny"\nnetworks = ["203.0.113.9/32"]\ntext = "Go away"\n'
        '[[access]]\naction = "allow"\nnetworks = ["203.0.113.0/24"]\n[[access]]\naction = "deny"\n',
        '[[listeners.mx.access]]\naction = "deny"\nnetworks = ["203.0.113.10/32"]\n'
        '[[listeners.mx.access]]\naction = "allow"\nnetworks = ["198.51.100.7/32"]\n',
    )
    async with edge_with(certificate, text) as edge:
        assert (await greeting(edge, CLIENT)).startswith("554 5.7.1 Go away [")
        assert (await greeting(edge, "203.0.113.77")).startswith("220")
        assert (await greeting(edge, NEIGHBOUR)).startswith("554")
        assert (await greeting(edge, NEIGHBOUR, "proxied")).startswith("220")
        assert (await greeting(edge, OTHER)).startswith("220")
        assert (await greeting(edge, OTHER, "proxied")).startswith("554")


async def test_a_rule_by_reverse_name_believes_only_confirmed_names(certificate: Path) -> None:
    text = rules('[[access]]\naction = "deny"\nreverse_names = [".good.test"]\n')
    async with DnsServer(ZONE) as dns, edge_with(certificate, text, dns) as edge:
        assert (await greeting(edge, CLIENT)).startswith("554")
        # Its PTR claims the name, which does not lead back.
        assert (await greeting(edge, NEIGHBOUR)).startswith("220")


async def test_a_rule_by_helo_name_decides_at_ehlo_and_holds_back_later_rules(certificate: Path) -> None:
    text = rules('[[access]]\naction = "deny"\nhelo_names = [".bad.test"]\n[[access]]\naction = "allow"\n')
    async with edge_with(certificate, text) as edge, client_at(edge, CLIENT) as client:
        assert (await client.reply()).startswith("220")
        assert (await client.say("EHLO x.bad.test")).startswith("554 5.7.1")
        assert await client.is_closed()


async def test_a_refused_client_finds_an_id_that_tells_why(certificate: Path) -> None:
    async with edge_with(certificate, rules('[[access]]\naction = "deny"\n')) as edge:
        refusal_id = id_in(await greeting(edge, CLIENT))
        (facts,) = [facts for event_id, _, facts in edge.events.told if event_id == refusal_id]
        assert (facts["client"], facts["reason"]) == (CLIENT, "access-denied")


# ---- places and rates


@pytest.mark.parametrize(
    "first, neighbour, stranger", [(CLIENT, NEIGHBOUR, OTHER), (CLIENT6, NEIGHBOUR6, "2001:db8:2::1")]
)
async def test_an_address_has_its_places_and_a_network_some_more(
    certificate: Path, first: str, neighbour: str, stranger: str
) -> None:
    text = rules("[limits]\nconnections_per_address = 1\nnetwork_factor = 2\n")
    async with edge_with(certificate, text) as edge, contextlib.AsyncExitStack() as open_ones:
        held = await open_ones.enter_async_context(client_at(edge, first))
        assert (await held.reply()).startswith("220")
        assert (await greeting(edge, first)).startswith("421 4.7.0 Too many connections from your address")
        other = await open_ones.enter_async_context(client_at(edge, neighbour))
        assert (await other.reply()).startswith("220")
        third = neighbour[:-1] + "2"
        assert (await greeting(edge, third)).startswith("421 4.7.0 Too many connections from your network")
        assert (await greeting(edge, stranger)).startswith("220")
        assert (await held.say("QUIT")).startswith("221")
        assert await held.is_closed()
        await edge.until(lambda: len(edge.sessions) == 1)
        assert (await greeting(edge, first)).startswith("220")


async def test_the_total_and_each_listener_have_their_limit(certificate: Path) -> None:
    text = rules("[limits]\nconnections = 2\n", "[listeners.mx.limits]\nconnections = 1\n")
    async with edge_with(certificate, text) as edge, client_at(edge, CLIENT) as first:
        assert (await first.reply()).startswith("220")
        assert (await greeting(edge, OTHER)).startswith("421 4.7.0 Too many connections,")
        async with client_at(edge, OTHER, "proxied") as second:
            assert (await second.reply()).startswith("220")
            assert (await greeting(edge, OTHER, "proxied")).startswith("421")


async def test_limits_tighten_under_stress(certificate: Path) -> None:
    text = rules("[limits]\nconnections = 10\nstress_at = 0.1\nerrors = 9\nerror_delay_s = 0\n")
    async with edge_with(certificate, text) as edge, client_at(edge, CLIENT), client_at(edge, OTHER) as client:
        assert (await client.reply()).startswith("220")
        assert (await client.say("MAIL FROM:<>")).startswith("503")
        await client.say("MAIL FROM:<>")
        assert (await client.reply()).startswith("421 4.7.0 Too many errors")


async def test_connections_messages_recipients_and_octets_have_rates(certificate: Path) -> None:
    text = rules(
        '[limits]\nconnection_rate = "3/h"\nmessage_rate = "2/h"\nrecipient_rate = "2/h"\nbyte_rate = "4000/h"\n'
    )
    async with edge_with(certificate, text) as edge:
        for expected in ("220", "220", "220", "421 4.7.0"):
            assert (await greeting(edge, CLIENT)).startswith(expected)
        async with client_at(edge, OTHER) as client:
            assert (await client.mail(b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n")).startswith("250")
            assert (await client.say("MAIL FROM:<x@away.test>")).startswith("250")
            assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
            assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("450 4.7.1")
            assert (await client.say("DATA")).startswith("354")
            await client.send((b"z" * 70 + b"\r\n") * 60 + b".\r\n")
            assert (await client.reply()).startswith("452 4.7.1")
            assert (await client.say("MAIL FROM:<x@away.test>")).startswith("450 4.7.1")


async def test_exempt_networks_are_not_counted(certificate: Path) -> None:
    text = rules(
        '[limits]\nconnection_rate = "1/h"\nconnections_per_address = 1\nexempt_networks = ["203.0.113.0/24"]\n'
    )
    async with edge_with(certificate, text) as edge, client_at(edge, CLIENT) as held:
        assert (await held.reply()).startswith("220")
        assert (await greeting(edge, CLIENT)).startswith("220")
        assert (await greeting(edge, OTHER)).startswith("220")
        assert (await greeting(edge, OTHER)).startswith("421")


# ---- bans


async def test_repeated_failures_ban_an_address_for_a_while(certificate: Path) -> None:
    text = rules("[bans]\nthreshold = 4\nrefused_points = 2\nfirst_s = 3600\n")
    async with edge_with(certificate, text) as edge:
        async with client_at(edge, CLIENT) as client:
            await client.hello()
            await client.say("MAIL FROM:<x@away.test>")
            for _ in range(2):
                assert (await client.say("RCPT TO:<nobody@ours.test>")).startswith("550 5.1.1")
        await edge.until(lambda: any(kind == "banned" for _, kind, _ in edge.events.told))
        assert (await greeting(edge, CLIENT)).startswith(
            "554 5.7.1 Banned after repeated failures, for 60 more minutes"
        )
        assert (await greeting(edge, NEIGHBOUR)).startswith("220")


async def test_a_ban_of_ipv6_is_of_the_64_and_some_are_never_banned(certificate: Path) -> None:
    text = rules('[bans]\nthreshold = 2\nnever = ["203.0.113.0/24"]\n')
    async with edge_with(certificate, text) as edge:
        for address in (CLIENT6, CLIENT):
            async with client_at(edge, address) as client:
                await client.hello()
                await client.say("MAIL FROM:<x@away.test>")
                assert (await client.say("RCPT TO:<nobody@ours.test>")).startswith("550")
        await edge.until(lambda: any(kind == "banned" for _, kind, _ in edge.events.told))
        assert (await greeting(edge, NEIGHBOUR6)).startswith("554 5.7.1 Banned")
        assert (await greeting(edge, CLIENT)).startswith("220")


async def test_an_access_rule_lets_a_banned_client_in(certificate: Path) -> None:
    text = rules(
        "[bans]\nthreshold = 2\n",
        '[[listeners.proxied.access]]\naction = "allow"\nnetworks = ["203.0.113.9/32"]\n',
    )
    async with edge_with(certificate, text) as edge:
        async with client_at(edge, CLIENT) as client:
            await client.hello()
            await client.say("MAIL FROM:<x@away.test>")
            await client.say("RCPT TO:<nobody@ours.test>")
        await edge.until(lambda: any(kind == "banned" for _, kind, _ in edge.events.told))
        assert (await greeting(edge, CLIENT)).startswith("554")
        assert (await greeting(edge, CLIENT, "proxied")).startswith("220")


# ---- early talkers


async def test_who_talks_before_the_greeting_is_refused(certificate: Path) -> None:
    text = rules("").replace("greet_wait_s = 0", "greet_wait_s = 0.3")
    async with edge_with(certificate, text) as edge:
        async with client_at(edge, CLIENT, then="EHLO early.test\r\n") as client:
            assert (await client.reply()).startswith("554 5.5.0 You spoke before you were greeted")
            assert await client.is_closed()
        async with client_at(edge, OTHER) as client:
            await client.send("EHLO early.test\r\n")
            assert (await client.reply()).startswith("554 5.5.0")


async def test_who_waited_once_does_not_wait_again(certificate: Path) -> None:
    text = rules("").replace("greet_wait_s = 0", "greet_wait_s = 0.5")
    async with edge_with(certificate, text) as edge:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await greeting(edge, CLIENT)).startswith("220")
        assert loop.time() - began >= 0.5
        began = loop.time()
        assert (await greeting(edge, CLIENT)).startswith("220")
        assert loop.time() - began < 0.5


# ---- names and lists


@pytest.mark.parametrize("action, begins", [("accept", "250"), ("defer", "450 4.7.25"), ("deny", "550 5.7.25")])
async def test_what_comes_of_a_client_without_a_confirmed_name(certificate: Path, action: str, begins: str) -> None:
    async with DnsServer(ZONE) as dns, edge_with(certificate, rules(f'[reverse]\nmissing = "{action}"\n'), dns) as edge:
        assert (await recipient(edge, NEIGHBOUR)).startswith(begins)
        assert (await recipient(edge, CLIENT)).startswith("250")
        dns.fail("7.100.51.198.in-addr.arpa", "PTR", Fault.SERVFAIL)
        assert (await recipient(edge, OTHER)).startswith("250")


LISTS = """
[dns_lists]
refuse_at = 6
defer_at = 4
[[dns_lists.lists]]
zone = "bl.test"
answers = [{ answer = "127.0.0.4", score = 4 }]
[[dns_lists.lists]]
zone = "second.test"
score = 3
[[dns_lists.lists]]
zone = "wl.test"
score = -5
"""


async def test_scores_of_lists_add_up_and_allow_lists_outweigh_them(certificate: Path) -> None:
    async with DnsServer(ZONE) as dns, edge_with(certificate, rules(LISTS), dns) as edge:
        reply = await recipient(edge, OTHER)
        assert reply.startswith("550 5.7.1 Your address is listed by bl.test: see https://bl.test/198.51.100.7 [")
        assert (await recipient(edge, CLIENT)).startswith("250")
        # 127.255.255.254 is an error of the list.
        assert (await recipient(edge, "198.51.100.8")).startswith("250")


async def test_postmaster_and_abuse_are_reached_from_a_listed_address(certificate: Path) -> None:
    async with DnsServer(ZONE) as dns, edge_with(certificate, rules(LISTS), dns) as edge:
        for local_part in ("postmaster", "Abuse"):
            assert (await recipient(edge, OTHER, f"{local_part}@ours.test")).startswith("250")


async def test_a_list_that_does_not_answer_its_probe_is_not_believed(certificate: Path) -> None:
    dead: Records = {name: records for name, records in ZONE.items() if name != "2.0.0.127.bl.test"}
    async with DnsServer(dead) as dns, edge_with(certificate, rules(LISTS), dns) as edge:
        assert not edge.defences.lookups.health.is_up("bl.test")
        assert (await recipient(edge, OTHER)).startswith("250")


async def test_a_list_that_lists_the_whole_world_is_switched_off(certificate: Path) -> None:
    zone = {**ZONE, "1.0.0.127.bl.test": {"A": "127.0.0.2"}}
    async with DnsServer(zone) as dns, edge_with(certificate, rules(LISTS), dns) as edge:
        assert not edge.defences.lookups.health.is_up("bl.test")
        assert (await recipient(edge, OTHER)).startswith("250")


async def test_lists_that_are_silent_delay_the_greeting_no_longer_than_allowed(certificate: Path) -> None:
    async with (
        DnsServer(ZONE) as dns,
        edge_with(certificate, rules(LISTS.replace("[dns_lists]", "[dns_lists]\ntimeout_s = 0.3")), dns) as edge,
    ):
        dns.fail("7.100.51.198.bl.test", "A", Fault.TIMEOUT)
        assert (await recipient(edge, OTHER)).startswith("250")
