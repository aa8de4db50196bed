"""Version 1 of the PROXY protocol, one line of text (PURE).

Standard: the PROXY protocol specification of HAProxy, §2.1.
On failure: ProxyError.
"""

import re
from ipaddress import IPv4Address, IPv6Address

from services.edge.proxied import Proxied, ProxyError, proxied

SIGNATURE = b"PROXY "
# §2.1: the longest line has 107 octets, CRLF included.
LINE_LIMIT = 107

_PORT = r"(0|[1-9][0-9]{0,4})"
_KNOWN = re.compile(rf"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) {_PORT} {_PORT}\r\n\Z")
# §2.1: what stands behind UNKNOWN is ignored.
_UNKNOWN = re.compile(r"PROXY UNKNOWN(?: [\x20-\x7e]*)?\r\n\Z")


def header_length(octets: bytes) -> int | None:
    """Return how many of the octets are the line, or None while it is not whole. Raises ProxyError."""
    if octets[: len(SIGNATURE)] != SIGNATURE[: len(octets)]:
        raise ProxyError("no PROXY signature")
    end = octets.find(b"\n", 0, LINE_LIMIT)
    if end < 0:
        if len(octets) >= LINE_LIMIT:
            raise ProxyError(f"a line of more than {LINE_LIMIT} octets")
        return None
    # §2.1: CRLF alone ends the line.
    if octets.find(b"\r") != end - 1:
        raise ProxyError("a line that does not end with CRLF")
    return end + 1


def parse(header: bytes) -> Proxied | None:
    """Return the client that the line speaks for, or None for UNKNOWN. Raises ProxyError."""
    if header_length(header) != len(header):
        raise ProxyError("not one line")
    line = header.decode("latin-1")
    if _UNKNOWN.match(line):
        return None
    matched = _KNOWN.match(line)
    if matched is None:
        raise ProxyError(f"{line[:-2]!r} is no PROXY line")
    family = IPv4Address if matched[1] == "TCP4" else IPv6Address
    try:
        source, target = family(matched[2]), family(matched[3])
    except ValueError as error:
        raise ProxyError(str(error)) from None
    proxied(target, int(matched[5]))
    return proxied(source, int(matched[4]))
