"""Connections from an address and port of ours (I/O: sockets).

Input: a `Source`. Output: a connected protocol, as `loop.create_connection` makes it.
On failure: OSError, whose text says which address or port of ours it was about.
"""

import asyncio
import contextlib
import errno
import random
import socket
import ssl as tls
import time
from collections.abc import Callable
from ipaddress import ip_address

from services.delivery.client.terms import Source
from shared.dns.reach import can_bind

# Linux's, from <linux/in.h>; Python names it from 3.12 on.
_IP_BIND_ADDRESS_NO_PORT = 24
# Ports that are tried for one connection; a range this full is as good as used up.
PORTS_TRIED = 256
_OWN_FOR_S = 30.0
# As many addresses as policies hold, and more.
_OWN_LIMIT = 4096

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


async def connect_from(
    loop: asyncio.AbstractEventLoop,
    protocol_factory: ProtocolFactory,
    address: str,
    port: int,
    source: Source,
    *,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
) -> None:
    """Connect to an address (not a name) from the address and one of the ports of a source. Raises OSError.

    An address of the other IP version says nothing about this connection: the system chooses then. The caller sets the
    deadline; a cancelled call leaves no socket behind.
    """
    local = source.address if source.address is not None and _version(source.address) == _version(address) else None
    if local is None and source.ports is None:
        await loop.create_connection(protocol_factory, address, port, ssl=ssl, server_hostname=server_hostname)
        return
    sock = await _connected(loop, (address, port), local, source.ports)
    try:
        await loop.create_connection(protocol_factory, sock=sock, ssl=ssl, server_hostname=server_hostname)
    except BaseException:
        sock.close()
        raise


async def _connected(
    loop: asyncio.AbstractEventLoop, peer: tuple[str, int], local: str | None, ports: tuple[int, int] | None
) -> socket.socket:
    if ports is None:
        sock = _bound(peer[0], local, 0)
        await _connect(loop, sock, peer)
        return sock
    first, count = ports[0], ports[1] - ports[0] + 1
    # Begun anywhere, so that processes which share the range do not try the same ports one after the other.
    begin = random.randrange(count)  # noqa: S311 - nothing secret
    for place in range(min(count, PORTS_TRIED)):
        try:
            sock = _bound(peer[0], local, first + (begin + place) % count)
            await _connect(loop, sock, peer)
            return sock
        except OSError as error:
            # EADDRNOTAVAIL of a connect: this port has a connection to that very peer, or had one a moment ago.
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL) or isinstance(error, NotOurs):
                raise
    raise OSError(errno.EADDRINUSE, f"no source port of {ports[0]}-{ports[1]} is free at {local or 'any address'}")


class NotOurs(OSError):
    """The address to connect from is none of this host's."""


def _bound(peer: str, local: str | None, port: int) -> socket.socket:
    family = socket.AF_INET6 if _version(peer) == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if port:
            # Connections to different peers may share a port, and one that was closed a moment ago is free again.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            # The port is chosen at connect, so that 28,000 connections are the bound for each peer, not for all.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((local or ("::" if family is socket.AF_INET6 else "0.0.0.0"), port))  # noqa: S104 - no listener
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise NotOurs(error.errno, f"the source address {local} is none of this host's") from None
        raise OSError(error.errno, f"source {local or 'any'} port {port}: {error.strerror}") from None
    return sock


async def _connect(loop: asyncio.AbstractEventLoop, sock: socket.socket, peer: tuple[str, int]) -> None:
    try:
        await loop.sock_connect(sock, peer)
    except BaseException:
        sock.close()
        raise


class OwnAddresses:
    """Whether addresses are this host's: `Sources` takes of a pool those that are. Asked of the system, and kept a
    while, so that an address that is moved to another host counts there soon.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[bool, float]] = {}

    def __call__(self, address: str) -> bool:
        """Whether connections can be made from an address."""
        now = self._clock()
        known = self._known.get(address)
        if known is None or known[1] <= now:
            if len(self._known) >= _OWN_LIMIT:
                self._known.clear()
            self._known[address] = known = (can_bind(address), now + _OWN_FOR_S)
        return known[0]


def _version(address: str) -> int:
    return ip_address(address).version
