"""Whom a proxy speaks for (PURE): the client, and the checks that both versions of the PROXY protocol share."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from shared.policy.client import plain_ip


class ProxyError(ValueError):
    """Octets that are no PROXY header that we can use."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """The client behind the proxy."""

    address: str
    port: int


def proxied(address: IPv4Address | IPv6Address, port: int) -> Proxied:
    """Return the client in its usual form. Raises ProxyError for what no TCP connection can come from."""
    ip = plain_ip(str(address))
    if ip.is_unspecified or ip.is_multicast:
        raise ProxyError(f"{ip} is nobody's address")
    if not 1 <= port <= 65_535:
        raise ProxyError(f"{port} is no port of a client")
    return Proxied(str(ip), port)
