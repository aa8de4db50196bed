"""Whether the addresses that our mail comes from have names that lead back to them (PURE over the look-up).

Standards: RFC 8601 §3 (iprev), RFC 5321 §4.1.1.1 and §4.1.4 (the name in EHLO), RFC 1912 §2.1.
On failure: DNS that gives no answer is unknown.
"""

from ipaddress import IPv4Address, ip_address

from services.console.domain_check.check import Check, Topic, dns_silent, ok, warn, wrong
from shared.auth.domain import host_name
from shared.dns.answer import BadName, DnsTemporary
from shared.dns.replay import Lookup
from shared.policy.table import IpAddress

_MAX_NAMES = 10


def judge_reverse(address: IpAddress, helo: str, lookup: Lookup) -> list[Check]:
    """Return what is to be said of a sending address. helo: the name that it greets with."""
    try:
        names = lookup(address.reverse_pointer, "PTR").names()
        if not names:
            text = f"{address} has no PTR record; many servers refuse its mail for that"
            return [wrong(Topic.REVERSE, text, f"have the owner of the network name it {helo}")]
        confirmed = [name for name in filter(None, map(host_name, names[:_MAX_NAMES])) if _has(name, address, lookup)]
        if not confirmed:
            shown = ", ".join(names[:5])
            text = f"the PTR record of {address} names {shown}, which does not have that address"
            return [
                wrong(Topic.REVERSE, text, f"give {names[0]} the address {address}, or have the PTR record changed")
            ]
        if helo not in confirmed and not _has(helo, address, lookup):
            text = f"our mail from {address} greets as {helo}, which does not have that address"
            mend = f"give {helo} the address, or greet as {confirmed[0]}: [interfaces.<name>] hostname"
            return [warn(Topic.REVERSE, text, mend)]
    except DnsTemporary as error:
        return [dns_silent(Topic.REVERSE, error)]
    return [ok(Topic.REVERSE, f"{address} is {confirmed[0]}, and greets as {helo}")]


def _has(name: str, address: IpAddress, lookup: Lookup) -> bool:
    try:
        found = lookup(name, "A" if isinstance(address, IPv4Address) else "AAAA").addresses()
    except BadName:
        return False
    return any(ip_address(text) == address for text in found)
