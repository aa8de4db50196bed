"""Whether a DNS list is alive, by its test entries; and whether it lists everything (I/O: resolver).

Standards: RFC 5782 §5. On failure: DnsTemporary, where DNS gave no answer.
"""

import asyncio
import secrets
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from services.edge.lookups.questions import (
    MUST_BE_LISTED_4,
    MUST_BE_LISTED_6,
    MUST_NOT_BE_LISTED_4,
    MUST_NOT_BE_LISTED_6,
    is_asked_about,
    question,
    strongest,
)
from shared.dns.answer import BadName, Resolver
from shared.policy.names import DnsList
from shared.policy.table import IpAddress

# A list may rightly have half of all addresses (those of households): so many drawn at random are then never all on it.
DRAWN = 16


class ProbeResolver(Resolver, Protocol):
    """A resolver that can be told to ask anew."""

    def forget(self, name: str, rdtype: str) -> None:
        """Have the next look-up ask a nameserver."""


async def probe(resolver: ProbeResolver, one: DnsList) -> str:
    """Return what is wrong with a list, empty if it is alive. Raises DnsTemporary."""
    try:
        never = await _answers(resolver, one, MUST_NOT_BE_LISTED_4)
        always = await _answers(resolver, one, MUST_BE_LISTED_4)
        errors = [answer for answer in (*never, *always) if one.score_of(answer) is None]
        if errors:
            return f"it answers with an error, {errors[0]}"
        # RFC 5782 §5: 127.0.0.1 must never be listed; a list that lists it lists everything.
        if never:
            return f"it lists {MUST_NOT_BE_LISTED_4}, which no list may have"
        # RFC 5782 §5: 127.0.0.2 must be listed; a list that does not list it is dead.
        if always or (one.ipv6 and await _is_alive_6(resolver, one)):
            return ""
    except BadName:
        return "its name is too long"
    return f"it does not list {MUST_BE_LISTED_4}, which every list has"


async def lists_everything(resolver: ProbeResolver, one: DnsList, *, ipv6: bool) -> bool:
    """Whether the list has every address of a few drawn at random. Raises DnsTemporary."""
    drawn = [_draw_6() if ipv6 else _draw_4() for _ in range(DRAWN)]
    answers = await asyncio.gather(*(_answers(resolver, one, address) for address in drawn))
    return all(strongest(one, answer) is not None for answer in answers)


async def _is_alive_6(resolver: ProbeResolver, one: DnsList) -> bool:
    """RFC 5782 §5: a list of IPv6 addresses alone has ::FFFF:7F00:2, and never ::FFFF:7F00:1."""
    if await _answers(resolver, one, MUST_NOT_BE_LISTED_6):
        return False
    return strongest(one, await _answers(resolver, one, MUST_BE_LISTED_6)) is not None


async def _answers(resolver: ProbeResolver, one: DnsList, address: IpAddress) -> list[IPv4Address]:
    name = question(address, one.zone)
    # What was true an hour ago says nothing about now.
    resolver.forget(name, "A")
    return [IPv4Address(text) for text in (await resolver.lookup(name, "A")).addresses()]


def _draw_4() -> IPv4Address:
    """Draw from what may be a host on the Internet: up to 223.255.255.255, and none of our own."""
    while not is_asked_about(drawn := IPv4Address(secrets.randbelow(224 << 24))):
        pass
    return drawn


def _draw_6() -> IPv6Address:
    """Draw from 2000::/3, which RFC 4291 §2.4 calls global unicast."""
    return IPv6Address((1 << 125) + secrets.randbits(125))
