"""Clients with addresses of their own, through a proxy that says whom it speaks for, and an edge that believes it.

async with edge_with(certificate, rules("[bans]\\nthreshold = 4\\n")) as edge: assert await greeting(edge, CLIENT) …
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from shared.dns.resolver import CachingResolver
from shared.policy import parse_policy
from tests.dnsserver import DnsServer, Records
from tests.integration.edge.gate import Client, Gate, gate

BASE = """
[domains."ours.test"]
route = "maildir:mail"
recipients = ["bob"]
[listeners.mx]
purpose = "inbound"
proxy_from = ["127.0.0.0/8"]
greet_wait_s = 0
{listener}
[listeners.proxied]
purpose = "inbound"
proxy_from = ["127.0.0.0/8"]
greet_wait_s = 0
"""
CLIENT, NEIGHBOUR, OTHER = "203.0.113.9", "203.0.113.10", "198.51.100.7"
CLIENT6, NEIGHBOUR6 = "2001:db8:1::9", "2001:db8:1::ffff:1"
ZONE: Records = {
    "9.113.0.203.in-addr.arpa": {"PTR": "mail.good.test."},
    "mail.good.test": {"A": CLIENT},
    "10.113.0.203.in-addr.arpa": {"PTR": "mail.good.test."},
    "2.0.0.127.bl.test": {"A": "127.0.0.2"},
    "2.0.0.127.second.test": {"A": "127.0.0.2"},
    "2.0.0.127.wl.test": {"A": "127.0.0.2"},
    "7.100.51.198.bl.test": {"A": "127.0.0.4", "TXT": ["see https://bl.test/198.51.100.7"]},
    "7.100.51.198.second.test": {"A": "127.0.0.2"},
    "8.100.51.198.bl.test": {"A": "127.255.255.254"},
    "9.113.0.203.bl.test": {"A": "127.0.0.4"},
    "9.113.0.203.wl.test": {"A": "127.0.0.2"},
}


def rules(extra: str = "", listener: str = "") -> str:
    return BASE.format(listener=listener) + extra


@contextlib.asynccontextmanager
async def edge_with(certificate: Path, text: str, dns: DnsServer | None = None) -> AsyncIterator[Gate]:
    """Run an edge with a policy; with a nameserver, wait until its lists are known to be alive."""
    policy = parse_policy(text)
    resolver = CachingResolver([dns.address]) if dns else None
    async with gate(policy, certificate, resolver=resolver) as edge:
        if dns:
            await edge.defences.lookups.health.probe_due()
        yield edge


@contextlib.asynccontextmanager
async def client_at(edge: Gate, address: str, listener: str = "mx", then: str = "") -> AsyncIterator[Client]:
    """Connect as a client with this address. then: what it sends in the same breath."""
    family = "TCP6" if ":" in address else "TCP4"
    own = "2001:db8::1" if ":" in address else "192.0.2.1"
    async with edge.client(listener) as client:
        await client.send(f"PROXY {family} {address} {own} 40000 25\r\n{then}")
        yield client


async def greeting(edge: Gate, address: str, listener: str = "mx") -> str:
    async with client_at(edge, address, listener) as client:
        return await client.reply()


async def recipient(edge: Gate, address: str, to: str = "bob@ours.test") -> str:
    """Return what a client with this address is told of a recipient."""
    async with client_at(edge, address) as client:
        return await client.asks_for(to)
