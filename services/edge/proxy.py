"""The PROXY protocol, version 2 (PURE).

Input: the first octets of a connection from a listed proxy. Output: how many belong to the header, and whom it speaks
for.
Standard: the PROXY protocol specification of HAProxy, version 2 (§2.2).
On failure: ProxyError; the connection is then closed without a word, for no client is to blame.
"""

import struct
from dataclasses import dataclass
from ipaddress import ip_address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FIXED_BYTES = 16
# Addresses and what extensions the proxy adds; the field would allow 65,535.
LENGTH_LIMIT = 4096

_IPV4 = struct.Struct("!4s4sHH")
_IPV6 = struct.Struct("!16s16sHH")


class ProxyError(ValueError):
    """Octets that are no PROXY v2 header that we can use."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """The client behind the proxy."""

    address: str
    port: int


def announced_length(head: bytes) -> int:
    """Return how many octets follow the fixed 16. Raises ProxyError."""
    if len(head) < FIXED_BYTES or not head.startswith(SIGNATURE):
        raise ProxyError("no PROXY v2 signature")
    if head[12] >> 4 != 2:
        raise ProxyError(f"PROXY version {head[12] >> 4}, expected 2")
    length = int.from_bytes(head[14:16], "big")
    if length > LENGTH_LIMIT:
        raise ProxyError(f"header of {length} octets, at most {LENGTH_LIMIT} are taken")
    return length


def parse(header: bytes) -> Proxied | None:
    """Return the client that a whole header speaks for, or None for the proxy itself (LOCAL, its health checks)."""
    length = announced_length(header)
    body = header[FIXED_BYTES:]
    if len(body) != length:
        raise ProxyError(f"{len(body)} octets after the fixed part, {length} were announced")
    command, family = header[12] & 0x0F, header[13]
    if command == 0:
        return None
    if command != 1:
        raise ProxyError(f"unknown command {command}")
    if family == 0x00:
        return None
    form = {0x11: _IPV4, 0x21: _IPV6}.get(family)
    if form is None:
        raise ProxyError(f"family and protocol 0x{family:02x}; only TCP over IPv4 or IPv6 is taken")
    if length < form.size:
        raise ProxyError(f"{length} octets are too few for the addresses")
    source, _target, port, _target_port = form.unpack_from(body)
    return Proxied(plain_address(str(ip_address(source))), port)


def plain_address(text: str) -> str:
    """Return an IP address in its usual form: IPv4 out of its mapping into IPv6, no zone."""
    if ":" not in text:
        return text
    address = ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
