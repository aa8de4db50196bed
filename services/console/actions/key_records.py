"""What DNS says of a DKIM key's record now (I/O: DNS): our own resolver, and each nameserver of the zone by itself.

For a resolver may still hold an old answer, and one nameserver may be behind the others: whoever verifies mail may ask
any of them. Output: one `Look` per server asked.
Standards: RFC 6376 §3.6.2, RFC 1034 §4.3.1 (AA).
On failure: a `Look` without a state, which says why; nothing is raised.
"""

import asyncio
from collections.abc import Iterator

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from services.console.answers.dkim import Look, is_published
from shared.dkim_keys import RecordState, judge_records
from shared.dns.answer import BadName, DnsTemporary, Resolver

__all__ = ["DNS_PORT", "Look", "is_published", "look_up"]

DNS_PORT = 53
_TIMEOUT_S = 3.0
_MOST_SERVERS = 8
_UDP_OCTETS = 1232


async def look_up(resolver: Resolver, name: str, record: str, *, port: int = DNS_PORT) -> list[Look]:
    """Return what our resolver says, and then each nameserver of the zone. port: of those nameservers."""
    first = await _ask_resolver(resolver, name, record)
    servers = await _nameservers(resolver, name)
    looks = await asyncio.gather(*(_ask(address, port, host, name, record) for host, address in servers))
    return [first, *looks]


async def _ask_resolver(resolver: Resolver, name: str, record: str) -> Look:
    try:
        answer = await resolver.lookup(name, "TXT")
    except DnsTemporary as error:
        return Look("", None, error.cause)
    except BadName as error:
        return Look("", RecordState.ABSENT, str(error))
    return Look("", judge_records(answer.texts(), record))


async def _nameservers(resolver: Resolver, name: str) -> list[tuple[str, str]]:
    """Return the host names and addresses of the nameservers of the nearest zone at or above the name."""
    try:
        for zone in _at_or_above(name):
            hosts = (await resolver.lookup(zone, "NS")).names()
            if hosts:
                found = [pair for host in sorted(hosts) for pair in await _addresses(resolver, host)]
                return found[:_MOST_SERVERS]
    except (DnsTemporary, BadName):
        pass
    return []


def _at_or_above(name: str) -> Iterator[str]:
    # The record's own name is hardly ever a zone; its parent `_domainkey` is, where a mail provider runs it.
    above = name.partition(".")[2]
    while "." in above:
        yield above
        above = above.partition(".")[2]


async def _addresses(resolver: Resolver, host: str) -> list[tuple[str, str]]:
    for rdtype in ("A", "AAAA"):
        try:
            addresses = (await resolver.lookup(host, rdtype)).addresses()
        except (DnsTemporary, BadName):
            continue
        if addresses:
            return [(host, address) for address in addresses]
    return []


async def _ask(address: str, port: int, host: str, name: str, record: str) -> Look:
    server = f"{host} [{address}]"
    query = dns.message.make_query(name, "TXT", use_edns=0, payload=_UDP_OCTETS)
    query.flags &= ~dns.flags.RD
    try:
        reply, _ = await dns.asyncquery.udp_with_fallback(query, address, timeout=_TIMEOUT_S, port=port)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        return Look(server, None, str(error) or type(error).__name__)
    if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Look(server, None, f"it answers {dns.rcode.to_text(reply.rcode())}")
    if not reply.flags & dns.flags.AA:
        return Look(server, None, "it does not know the zone")
    texts = [b"".join(rdata.strings) for rrset in reply.answer if rrset.rdtype == dns.rdatatype.TXT for rdata in rrset]
    if not texts and any(rrset.rdtype == dns.rdatatype.CNAME for rrset in reply.answer):
        return Look(server, None, "the name is an alias to another zone")
    return Look(server, judge_records(texts, record))
