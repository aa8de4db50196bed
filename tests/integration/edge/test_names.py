"""Names, DNS lists and countries of clients, over a real socket: whom they hold for, and whom not."""

import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from shared.dns.resolver import CachingResolver
from shared.policy import parse_policy
from tests.dnsserver import DnsServer, Records
from tests.integration.edge.gate import Gate, gate, id_in, trusting
from tests.integration.edge.proxied import client_at, greeting, recipient
from tests.unit.services.edge.lookups.test_country import country, write

POLICY = """
[domains."ours.test"]
route = "maildir:mail"
recipients = ["bob"]
[listeners.mx]
purpose = "inbound"
proxy_from = ["127.0.0.0/8"]
greet_wait_s = 0
[listeners.submissions]
purpose = "submission"
tls = "implicit"
auth = true
proxy_from = ["127.0.0.0/8"]
"""
LIST = '[dns_lists]\nlists = [{ zone = "bl.test" }]\n'
LISTED, LISTED_6, CLEAN = "203.0.113.9", "2001:db8::9", "198.51.100.7"
ZONE: Records = {
    "2.0.0.127.bl.test": {"A": "127.0.0.2"},
    "9.113.0.203.bl.test": {"A": "127.0.0.2"},
    f"{ip_address(LISTED_6).reverse_pointer.removesuffix('.ip6.arpa')}.bl.test": {"A": "127.0.0.2"},
    "9.113.0.203.in-addr.arpa": {"PTR": "mail.listed.test."},
    "mail.listed.test": {"A": LISTED},
}


@contextlib.asynccontextmanager
async def edge_with(certificate: Path, text: str, zone: Records, database: Path | None = None) -> AsyncIterator[Gate]:
    """Run an edge whose lists have been probed."""
    async with DnsServer(zone) as server:
        resolver = CachingResolver([server.address])
        async with gate(parse_policy(text), certificate, resolver=resolver, country_database=database) as edge:
            await edge.defences.lookups.health.probe_due()
            yield edge


@pytest.mark.parametrize("address", [LISTED, LISTED_6])
async def test_a_listed_client_is_refused_at_rcpt_and_the_trace_tells_why(certificate: Path, address: str) -> None:
    async with edge_with(certificate, POLICY + LIST, ZONE) as edge:
        reply = await recipient(edge, address)
        assert reply.startswith("550 5.7.1 Your address is listed by bl.test [")
        (facts,) = [facts for event_id, _, facts in edge.events.told if event_id == id_in(reply)]
        assert (facts["client"], facts["reason"]) == (address, "dns-listed")
        assert (await recipient(edge, CLEAN)).startswith("250")


@pytest.mark.parametrize(
    "rule",
    [
        'networks = ["203.0.113.9/32"]',
        'reverse_names = [".listed.test"]',
        'helo_names = ["client.test"]',
        'reverse_names = [".listed.test"]\nhelo_names = ["client.test"]',
    ],
)
async def test_an_access_rule_that_allows_a_client_outweighs_lists_and_names(certificate: Path, rule: str) -> None:
    text = POLICY + LIST + f'[reverse]\nmissing = "accept"\n[[access]]\naction = "allow"\n{rule}\n'
    async with edge_with(certificate, text, ZONE) as edge:
        assert (await recipient(edge, LISTED)).startswith("250")


async def test_who_may_relay_is_not_held_to_lists(certificate: Path) -> None:
    text = POLICY + LIST + '[relay]\nnetworks = ["203.0.113.0/24"]\n'
    async with edge_with(certificate, text, ZONE) as edge:
        assert (await recipient(edge, LISTED)).startswith("250")


async def test_exempt_networks_are_not_held_to_lists_and_names(certificate: Path) -> None:
    text = POLICY + LIST + '[reverse]\nmissing = "deny"\n[limits]\nexempt_networks = ["203.0.113.0/24"]\n'
    async with edge_with(certificate, text, ZONE) as edge:
        assert (await recipient(edge, LISTED)).startswith("250")
        assert (await recipient(edge, CLEAN)).startswith("550 5.7.25")


async def test_a_refusal_for_good_outweighs_one_for_now(certificate: Path) -> None:
    text = POLICY + LIST + '[reverse]\nmissing = "defer"\n'
    nameless = {name: records for name, records in ZONE.items() if "arpa" not in name}
    async with edge_with(certificate, text, nameless) as edge:
        assert (await recipient(edge, LISTED)).startswith("550 5.7.1")
        assert (await recipient(edge, CLEAN)).startswith("450 4.7.25")


async def test_a_list_that_suddenly_lists_everything_is_switched_off(certificate: Path) -> None:
    async with edge_with(certificate, POLICY + LIST, {"*.bl.test": {"A": "127.0.0.2"}}) as edge:
        # Only its probe tells, and that is over: here is a list that had passed it.
        edge.policy.policy = rules = parse_policy(POLICY + LIST.replace(" }]", ", probe = false }]"))
        edge.defences.follow(rules)
        assert (await recipient(edge, CLEAN)).startswith("550 5.7.1")
        for number in range(100):
            assert (await greeting(edge, f"203.0.113.{number}")).startswith("220")
        await edge.until(lambda: not edge.defences.lookups.health.is_up("bl.test"))
        assert (await recipient(edge, CLEAN)).startswith("250")


async def test_lists_are_of_no_matter_to_those_who_log_in(certificate: Path) -> None:
    text = POLICY + LIST + '[[access]]\naction = "deny"\nreverse_names = [".bad.test"]\n'
    async with (
        DnsServer(ZONE) as server,
        gate(parse_policy(text), certificate, resolver=CachingResolver([server.address])) as edge,
    ):
        await edge.defences.lookups.health.probe_due()
        async with edge.client("submissions") as client:
            await client.send(f"PROXY TCP4 {LISTED} 192.0.2.1 40000 465\r\n")
            await client.writer.start_tls(trusting())
            await client.hello()
            assert (await client.log_in()).startswith("235")
            assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("250")
            assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
        # The name is asked for, since a rule wants it; the list is not.
        assert server.count("9.113.0.203.in-addr.arpa", "PTR") == 1
        assert server.count("9.113.0.203.bl.test", "A") == 0


async def test_a_rule_by_country_holds_where_there_is_a_database(certificate: Path, tmp_path: Path) -> None:
    write(tmp_path / "c.mmdb", {"203.0.113.0/24": country("DE"), "2001:db8::/32": country("FR")})
    text = POLICY + '[[access]]\naction = "deny"\ncountries = ["de", "FR"]\n'
    async with edge_with(certificate, text, ZONE, tmp_path / "c.mmdb") as edge:
        assert (await greeting(edge, LISTED)).startswith("554 5.7.1")
        assert (await greeting(edge, LISTED_6)).startswith("554 5.7.1")
        assert (await greeting(edge, CLEAN)).startswith("220")
    async with edge_with(certificate, text, ZONE) as edge:
        assert (await greeting(edge, LISTED)).startswith("220")


async def test_the_confirmed_name_goes_with_the_envelope(certificate: Path) -> None:
    async with edge_with(certificate, POLICY, ZONE) as edge:
        for address in (LISTED, CLEAN):
            async with client_at(edge, address) as client:
                assert (await client.mail(b"x: y\r\n\r\nz\r\n")).startswith("250")
        names = [mail.envelope.client.name for mail in edge.publisher.mails]
        assert names == ["mail.listed.test", None]
