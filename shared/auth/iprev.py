"""The client's name: from its address by PTR, and back by A or AAAA. PURE over the answers of the look-up.

Input: an address, a look-up. Output: a ReverseResult.
Standards: RFC 8601 §2.7.3 and §3 (iprev), RFC 1035 §3.5, RFC 3596 §2.5 (ip6.arpa).
On failure: DNS that fails is temperror: the name is then unknown, not missing.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, ip_address

from shared.auth.domain import host_name
from shared.dns.answer import Answer, BadName, DnsTemporary, Resolver
from shared.dns.replay import Lookup, NeedLookup, replay
from shared.policy.client import plain_ip
from shared.policy.table import IpAddress

# RFC 8601 §3: a bound on the names protects against records made to keep us busy.
MAX_NAMES = 10


class ReverseWord(StrEnum):
    """RFC 8601 §2.7.3: the results of checking an address's name in both directions."""

    PASS = "pass"  # the standard's word
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class ReverseResult:
    """What DNS says of a client's name. name: confirmed; empty if there is none, None if nobody can tell now."""

    word: ReverseWord
    name: str | None


NOT_KNOWN = ReverseResult(ReverseWord.TEMPERROR, None)


async def confirmed_name(resolver: Resolver, address: str) -> ReverseResult:
    """Return what DNS says of the client's name. Raises nothing but cancellation: the caller sets the deadline."""
    client = plain_ip(address)
    return await replay(resolver, lambda lookup: evaluate_reverse(client, lookup))


def known_name(resolver: Resolver, address: str) -> ReverseResult | None:
    """Return the same as far as it can be told from the resolver's memory, None if something has to be asked."""

    def remembered(name: str, rdtype: str) -> Answer:
        answer = resolver.cached(name, rdtype)
        if answer is None:
            raise NeedLookup(name, rdtype)
        return answer

    try:
        return evaluate_reverse(plain_ip(address), remembered)
    except NeedLookup:
        return None


def evaluate_reverse(client: IpAddress, lookup: Lookup) -> ReverseResult:
    """Return the first name whose own addresses have the client's among them."""
    try:
        names = lookup(client.reverse_pointer, "PTR").names()
    except DnsTemporary:
        return NOT_KNOWN
    # RFC 8601 §2.7.3: permerror where no PTR data are published.
    if not names:
        return ReverseResult(ReverseWord.PERMERROR, "")
    unsure = False
    rdtype = "A" if isinstance(client, IPv4Address) else "AAAA"
    for name in filter(None, map(host_name, names[:MAX_NAMES])):
        try:
            found = lookup(name, rdtype).addresses()
        except BadName:
            continue
        except DnsTemporary:
            unsure = True
            continue
        if any(ip_address(text) == client for text in found):
            return ReverseResult(ReverseWord.PASS, name)
    # One that could not be looked up may be the right one.
    return NOT_KNOWN if unsure else ReverseResult(ReverseWord.FAIL, "")
