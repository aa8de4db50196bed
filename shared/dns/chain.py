"""PURE. One step of a look-up, and the chain of steps that CNAMEs make of it.

Input: per step what a zone, a standard, or a nameserver's response said. Output: the Answer of the name first asked.
Standards: RFC 1034 §3.6.2 and §5.3.3 (aliases), RFC 2308 §2 (negative answers), RFC 4035 §3.2.3 (AD).
On failure: Unusable, which becomes DnsTemporary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.rcode
from dns.message import QueryMessage
from dns.rdatatype import RdataType

from shared.dns.answer import Answer, BadName
from shared.dns.names import canonical
from shared.dns.records import host, to_records
from shared.dns.zonefile import Zone

MAX_ALIASES = 10


class Unusable(Exception):
    """A response that says nothing about the name; the text says why."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A CNAME whose target is still to be asked for."""

    target: str
    secure: bool
    ttl_s: float


Step = Answer | Alias


class Chase:
    """A look-up under way: collects steps until one of them is an answer."""

    def __init__(self, name: str, rdtype: str) -> None:
        self.target = name
        self._name = name
        self._rdtype = rdtype
        self._aliases = 0
        self._secure = True
        self._ttl_s = float("inf")

    def take(self, step: Step) -> Answer | None:
        """Take in what was said about target. Return the answer, or None when the new target is to be asked for."""
        # An answer is as short-lived, and as insecure, as the weakest link of its chain.
        self._ttl_s = min(self._ttl_s, float(step.ttl_s))
        self._secure = self._secure and step.secure
        if isinstance(step, Answer):
            return Answer(self._name, self._rdtype, step.exists, step.records, self._secure, self._ttl_s)
        self._aliases += 1
        # RFC 1034 §5.2.2: loops and overlong chains of aliases end in an error.
        if self._aliases > MAX_ALIASES:
            raise Unusable(f"more than {MAX_ALIASES} aliases in a row")
        try:
            self.target = canonical(step.target)
        except BadName as error:
            raise Unusable("an alias to something that is no usable name") from error
        return None


def step_in_zone(zone: Zone, name: str, rdtype: str) -> Step:
    """Return what a zone file says about a name at or below its origin. A file proves nothing, so it is not secure."""
    match = zone.find(name, rdtype)
    if match.rdataset is None:
        return Answer(name, rdtype, match.exists, ttl_s=zone.negative_ttl_s)
    if match.is_alias:
        return Alias(host(match.rdataset[0].target), secure=False, ttl_s=match.rdataset.ttl)
    return Answer(name, rdtype, exists=True, records=to_records(match.rdataset), ttl_s=match.rdataset.ttl)


def step_in_response(
    response: QueryMessage, name: str, rdtype: str, *, trust_ad: bool, is_ours: Callable[[str], bool]
) -> Step:
    """Return what a nameserver's response says; is_ours names what only zone files may answer. Raises Unusable."""
    rcode = response.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise Unusable(dns.rcode.to_text(rcode))
    try:
        result = response.resolve_chaining()
    except dns.exception.DNSException as error:
        raise Unusable(f"malformed answer ({type(error).__name__})") from error
    secure = trust_ad and bool(response.flags & dns.flags.AD)
    for alias in result.cnames:
        target = host(alias[0].target)
        if is_ours(target):
            return Alias(target, secure, alias.ttl)
    if result.answer is not None:
        return Answer(name, rdtype, True, to_records(result.answer), secure, result.minimum_ttl)
    if rcode == dns.rcode.NXDOMAIN:
        return Answer(name, rdtype, exists=False, secure=secure, ttl_s=result.minimum_ttl)
    return _without_records(response, name, rdtype, Alias(host(result.canonical_name), secure, result.minimum_ttl))


def _without_records(response: QueryMessage, name: str, rdtype: str, end: Alias) -> Step:
    """Tell NODATA from a chain that stops half way and from a referral, which look alike."""
    authority = {rrset.rdtype for rrset in response.authority}
    if RdataType.SOA not in authority:
        if end.target != name:
            return end
        # RFC 2308 §2.2: NS without SOA is a referral; a server that refers does not recurse for us and said nothing.
        if RdataType.NS in authority and not response.flags & dns.flags.AA:
            raise Unusable("a referral: the server does not recurse")
    return Answer(name, rdtype, exists=True, secure=end.secure, ttl_s=end.ttl_s)
