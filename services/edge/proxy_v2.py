"""Version 2 of the PROXY protocol, binary (PURE).

Standard: the PROXY protocol specification of HAProxy, §2.2.
On failure: ProxyError.
"""

import struct
from collections.abc import Iterator
from ipaddress import ip_address

from services.edge.proxied import Proxied, ProxyError, proxied

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FIXED_BYTES = 16
# Addresses and what extensions the proxy adds; the field would allow 65,535.
LENGTH_LIMIT = 4096

_IPV4 = struct.Struct("!4s4sHH")
_IPV6 = struct.Struct("!16s16sHH")
_CRC32C = 0x03


def header_length(octets: bytes) -> int | None:
    """Return how many of the octets are the header, or None while it is not whole. Raises ProxyError."""
    if octets[: len(SIGNATURE)] != SIGNATURE[: len(octets)]:
        raise ProxyError("no PROXY signature")
    if len(octets) < FIXED_BYTES:
        return None
    if octets[12] >> 4 != 2:
        raise ProxyError(f"PROXY version {octets[12] >> 4}, expected 2")
    length = int.from_bytes(octets[14:16], "big")
    if length > LENGTH_LIMIT:
        raise ProxyError(f"header of {length} octets, at most {LENGTH_LIMIT} are taken")
    return FIXED_BYTES + length if len(octets) >= FIXED_BYTES + length else None


def parse(header: bytes) -> Proxied | None:
    """Return the client that a whole header speaks for, or None for the proxy itself (LOCAL, its health checks)."""
    if header_length(header) != len(header):
        raise ProxyError(f"{len(header)} octets are not one header")
    command, family = header[12] & 0x0F, header[13]
    # §2.2: LOCAL, and an unspecified family, leave the connection its own addresses; what follows is skipped.
    if command == 0:
        return None
    if command != 1:
        raise ProxyError(f"unknown command {command}")
    if family == 0x00:
        return None
    form = {0x11: _IPV4, 0x21: _IPV6}.get(family)
    if form is None:
        raise ProxyError(f"family and protocol 0x{family:02x}; only TCP over IPv4 or IPv6 is taken")
    if len(header) < FIXED_BYTES + form.size:
        raise ProxyError("too few octets for the addresses")
    source, target, port, target_port = form.unpack_from(header, FIXED_BYTES)
    _check_extensions(header, FIXED_BYTES + form.size)
    proxied(ip_address(target), target_port)
    return proxied(ip_address(source), port)


def _check_extensions(header: bytes, at: int) -> None:
    for kind, start, end in _extensions(header, at):
        # §2.2.3: a checksum that is there is checked, over the header with zeros in the checksum's place.
        if kind == _CRC32C:
            given = header[start:end]
            if _crc32c(header[:start] + bytes(len(given)) + header[end:]).to_bytes(4, "big") != given:
                raise ProxyError("the checksum does not fit")


def _extensions(header: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield the type of each TLV (§2.2) and where its value begins and ends."""
    while at < len(header):
        start = at + 3
        end = start + int.from_bytes(header[at + 1 : start], "big")
        if start > len(header) or end > len(header):
            raise ProxyError("an extension goes beyond the header")
        yield header[at], start, end
        at = end


def _table() -> tuple[int, ...]:
    values = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)  # noqa: PLW2901
        values.append(value)
    return tuple(values)


_CRC_TABLE = _table()


def _crc32c(octets: bytes) -> int:
    """Return the checksum of RFC 4960 appendix B."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF
