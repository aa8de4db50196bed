"""Where a domain's mail goes (PURE).

Owns: the text form of a route, `smtp://host[:port]`, `smtps://host[:port]`, `lmtp://host[:port]`,
`lmtp:/path/to/socket`, `maildir:/path` (relative to delivery's data folder), or `mx`
(what DNS says, RFC 5321 §5.1).
On failure: RouteError naming what is wrong.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address


class RouteError(ValueError):
    """A route that cannot be read."""


class RouteKind(StrEnum):
    """How the next hop is spoken to."""

    SMTP = "smtp"
    SMTPS = "smtps"
    LMTP = "lmtp"
    LMTP_SOCKET = "lmtp-socket"
    MAILDIR = "maildir"
    MX = "mx"


_DEFAULT_PORTS = {RouteKind.SMTP: 25, RouteKind.SMTPS: 465, RouteKind.LMTP: 24}
# Read strictly, for urllib drops line ends, blanks and what stands behind an IPv6 address without a word.
_URL = re.compile(
    r"(?P<kind>smtps?|lmtp)://(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<host>[a-z0-9.-]+))(?::(?P<port>[0-9]{1,5}))?\Z",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z")


@dataclass(frozen=True, slots=True)
class Route:
    """A route. host and port for SMTP and LMTP over TCP; path for a socket or Maildir root."""

    kind: RouteKind
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.kind is RouteKind.MX:
            return "mx"
        if self.kind is RouteKind.MAILDIR:
            return f"maildir:{self.path}"
        if self.kind is RouteKind.LMTP_SOCKET:
            return f"lmtp:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


@lru_cache(maxsize=4096)
def parse_route(text: str) -> Route:
    """Return the route that a text names. Raises RouteError."""
    if text == "mx":
        return Route(RouteKind.MX)
    if text.startswith("maildir:"):
        path = text.removeprefix("maildir:")
        if not path or "\0" in path or ".." in path.split("/"):
            raise RouteError(f"{text!r}: a Maildir route needs a path without '..', such as maildir:mail")
        return Route(RouteKind.MAILDIR, path=path)
    if text.startswith("lmtp:/") and not text.startswith("lmtp://") and "\0" not in text:
        return Route(RouteKind.LMTP_SOCKET, path=text.removeprefix("lmtp:"))
    return _parse_url(text)


def keeps_requiretls(route: Route, *, tls_off: bool) -> bool:
    """Whether delivery can keep what REQUIRETLS asks for on a route. tls_off: its hop is never spoken to over TLS.

    RFC 8689 §4.2.1: only over TLS with a verified certificate, to a server that offers REQUIRETLS as well; not asked
    where the message never leaves the host.
    """
    return not tls_off or route.kind in (RouteKind.MAILDIR, RouteKind.LMTP_SOCKET)


def _parse_url(text: str) -> Route:
    url = _URL.match(text)
    if url is None:
        raise RouteError(f"{text!r}: expected smtp://, smtps://, lmtp://host:port, lmtp:/socket, maildir:path or mx")
    kind, host = RouteKind(url["kind"].lower()), (url["ipv6"] or url["host"]).lower()
    if not (_is_ipv6(host) if url["ipv6"] else _is_host(host)):
        raise RouteError(f"{text!r}: {host!r} is neither a host name nor an address")
    port = int(url["port"]) if url["port"] else _DEFAULT_PORTS[kind]
    if not 1 <= port <= 65535:
        raise RouteError(f"{text!r}: {port} is not a port")
    return Route(kind, host=host, port=port)


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _is_host(host: str) -> bool:
    # A name whose last label is a number is meant as an address (RFC 3696 §2).
    if not host.rpartition(".")[2].isdigit():
        return bool(_HOST.match(host))
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True
