"""Which of the addresses that DNS gives may be connected to (I/O: asks this machine for its own addresses).

Standards: RFC 6890 (special addresses), RFC 6052 (addresses within others).
Decided here: DNS never leads us to loopback, private or link-local addresses, or to ourselves.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NAT64 = ip_network("64:ff9b::/96")
# RFC 6890 §2.2.2: for protocols between neighbours, and one cloud's metadata; Python knows only parts of it.
_PROTOCOLS = ip_network("192.0.0.0/24")


def may_connect(address: str) -> bool:
    """Whether an address that DNS gave is a public one, and not our own."""
    return is_public(ip_address(address)) and not is_of_this_machine(address)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is a host of the public internet; addresses inside others count for themselves."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            # RFC 6052 §2.1: the last 32 bits.
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        # RFC 3879 §4: site-local addresses are no more, but routers of old still know them; Python calls them global.
        if address.is_site_local:
            return False
    if address in _PROTOCOLS:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_of_this_machine(address: str) -> bool:
    """Whether this machine has the address: only then can a socket be bound to it."""
    return can_bind(address) and not can_bind("192.0.2.1")


def can_bind(address: str) -> bool:
    """Whether a socket can be bound to an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
