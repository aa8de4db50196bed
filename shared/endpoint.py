"""Where an engine listens (PURE).

Input: `host:port`, `[ipv6]:port`, or the path of a unix socket. On failure: ValueError that names the address.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tcp:
    """A host and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Unix:
    """A socket in the file system."""

    path: str


def parse_address(text: str) -> Tcp | Unix:
    """Return what an address names. Raises ValueError."""
    if text.startswith("/"):
        return Unix(text)
    host, colon, port = text.rpartition(":")
    is_literal = host.startswith("[") and host.endswith("]")
    if is_literal:
        host = host[1:-1]
    well_formed = bool(colon and host) and (is_literal or ":" not in host)
    if not well_formed or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not host:port, [ipv6]:port or the path of a socket")
    return Tcp(host, int(port))


def parse_tcp(text: str) -> Tcp:
    """Return the host and the port of `host:port`. Raises ValueError, also for the path of a socket."""
    where = parse_address(text)
    if isinstance(where, Unix):
        raise ValueError(f"{text!r} is the path of a socket, and not host:port")  # noqa: TRY004 - it is text
    return where


def checked_address(text: str) -> str:
    """Return an address as it stands if it is one. Raises ValueError."""
    parse_address(text)
    return text
