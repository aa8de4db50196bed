"""Where a report may be sent (I/O through the resolver).

A domain's record can name anybody's mailbox, so whoever is outside the domain's organization must have agreed in DNS.
Input: the addresses of `rua`. Output: those that may be used.
Standards: RFC 9989 §4.7 (rua), RFC 9990 §4 (external destinations).
On failure: DnsTemporary: nobody can tell now, so the report waits.
"""

import re

from services.console.reports.mailto import mailbox
from shared.dns.answer import BadName, Resolver

# RFC 9989 §4.7: a receiver may limit the addresses it heeds, and must heed two.
MAX_DESTINATIONS = 5
_AGREEMENT = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_RUA = re.compile(rb"(?:^|;)[ \t]*rua[ \t]*=([^;]*)", re.IGNORECASE)


async def destinations(resolver: Resolver, domain: str, organization: str, rua: tuple[str, ...]) -> list[str]:
    """Return the addresses to send a domain's report to. Raises DnsTemporary."""
    found: dict[str, None] = {}
    for address in [address for address in map(mailbox, rua) if address][:MAX_DESTINATIONS]:
        host = address.rpartition("@")[2].lower()
        if host == organization or host.endswith(f".{organization}"):
            found[address] = None
            continue
        agreed, instead = await _agreement(resolver, domain, host)
        if agreed:
            found.update(dict.fromkeys(instead or [address]))
    return list(found)


async def _agreement(resolver: Resolver, domain: str, host: str) -> tuple[bool, list[str]]:
    """Return whether a host takes reports about a domain, and to which addresses of its own instead."""
    try:
        # RFC 9990 §4: the agreement stands at <domain>._report._dmarc.<host>.
        texts = (await resolver.lookup(f"{domain}._report._dmarc.{host}", "TXT")).texts()
    except BadName:
        return False, []
    records = [text for text in texts if _AGREEMENT.match(text)]
    if not records:
        return False, []
    matched = _RUA.search(records[0])
    wanted = [mailbox(uri) for uri in matched.group(1).decode("ascii", "replace").split(",")] if matched else []
    # RFC 9990 §4: it may name another address, but only one of its own host.
    return True, [address for address in wanted if address and address.rpartition("@")[2].lower() == host]
