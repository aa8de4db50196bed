"""The sockets under the listeners (I/O): bound at the start, while the process may still bind low ports.

A bound socket refuses connections until it listens, and again after `refuse`; its address stays taken all the time, for
once root is dropped a port below 1024 could not be bound again. (A second descriptor could not stand in for it: whether
a socket listens is the same for all of its descriptors.)
On failure: OSError naming the listener and the address.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator, Mapping

from services.edge.settings import ListenerSettings

# By the listener's name: one for each address that its name in the settings stands for.
Sockets = Mapping[str, list[socket.socket]]
# As getaddrinfo gives it.
_Place = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def bind(listeners: Mapping[str, ListenerSettings], workers: int = 1) -> list[Sockets]:
    """Return the bound sockets of each worker. Raises OSError.

    Several workers' sockets share their addresses, and the kernel spreads connections over those that listen.
    """
    if workers > 1:
        # Sockets that share an address would share it with another edge that already serves there, too.
        for taken in _bind_each(listeners, {}, shared=False).values():
            for probe in taken:
                probe.close()
    first = _bind_each(listeners, {}, shared=workers > 1)
    ports = {name: _port(sockets) for name, sockets in first.items()}
    return [first, *(_bind_each(listeners, ports, shared=True) for _ in range(workers - 1))]


def refuse(bound: socket.socket) -> None:
    """Have a socket refuse connections, whoever else holds it, and keep its address; `listen` takes them again."""
    # Linux: what waits to be accepted is reset. A socket that does not listen has nothing to shut down.
    with contextlib.suppress(OSError):
        bound.shutdown(socket.SHUT_RD)


def _port(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])


def _bind_each(
    listeners: Mapping[str, ListenerSettings], ports: Mapping[str, int], *, shared: bool
) -> dict[str, list[socket.socket]]:
    bound: dict[str, list[socket.socket]] = {}
    for name, settings in listeners.items():
        port = ports.get(name, settings.port)
        try:
            bound[name] = list(_bind_addresses(settings.address, port, shared=shared))
        except OSError as error:
            words = error.strerror or str(error)
            raise OSError(error.errno, f"listeners.{name}: {settings.address} port {port}: {words}") from None
    return bound


def _bind_addresses(address: str, port: int, *, shared: bool) -> Iterator[socket.socket]:
    found = socket.getaddrinfo(address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    last: OSError | None = None
    count = 0
    for family, _kind, _protocol, _name, place in dict.fromkeys(found):
        try:
            yield _bind_one(family, place, shared=shared)
            count += 1
        except OSError as error:
            # A host without IPv6 may still have a name for ::1.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
            last = error
    if last is not None and not count:
        raise last


def _bind_one(family: int, place: _Place, *, shared: bool) -> socket.socket:
    if place[1] == 0:
        # Only a socket that asked for its port by number keeps it through `refuse`: let the kernel choose one first.
        with _unbound(family, shared=shared) as probe:
            probe.bind(place)
            return _bind_one(family, probe.getsockname(), shared=shared)
    bound = _unbound(family, shared=shared)
    try:
        bound.bind(place)
    except OSError:
        bound.close()
        raise
    return bound


def _unbound(family: int, *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    # Connections of a process that has just ended do not keep the address.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
