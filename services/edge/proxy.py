"""The PROXY protocol's header before a session (PURE): version 1 or 2, and where it ends.

Owns: `header_length`, which finds the end of a header in what has come so far, and `parse`.
Input: the first octets of a connection from a listed proxy. Output: whom the header speaks for. Octets behind it are
the client's and are not looked at.
Standard: the PROXY protocol specification of HAProxy, §2.
On failure: ProxyError; the connection is then closed without a word, for no client is to blame.
"""

from services.edge import proxy_v1, proxy_v2
from services.edge.proxied import Proxied, ProxyError

__all__ = ["Proxied", "ProxyError", "header_length", "parse"]


def header_length(octets: bytes) -> int | None:
    """Return how many of the octets are the header, or None while it is not whole. Raises ProxyError.

    At most `proxy_v2.FIXED_BYTES + proxy_v2.LENGTH_LIMIT` octets are ever asked for.
    """
    return proxy_v1.header_length(octets) if _is_text(octets) else proxy_v2.header_length(octets)


def parse(header: bytes) -> Proxied | None:
    """Return the client that a whole header speaks for, or None for the proxy itself. Raises ProxyError."""
    return proxy_v1.parse(header) if _is_text(header) else proxy_v2.parse(header)


def _is_text(octets: bytes) -> bool:
    # The versions begin with different octets: one is enough to tell them apart.
    return octets.startswith(proxy_v1.SIGNATURE[:1])
