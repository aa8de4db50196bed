"""Connections from addresses and ports of ours, on real sockets."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from typing import cast

import psutil
import pytest

from infra.local.ports import free_ports
from services.delivery.client.binding import OwnAddresses, connect_from
from services.delivery.client.terms import Source


class _Listener:
    """Tells where its connections come from."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.port = 0

    async def accept(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.came.put(writer.get_extra_info("peername")[:2])
        with contextlib.suppress(ConnectionError):
            await _reader.read()
        writer.close()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)


@pytest.fixture
async def listener() -> AsyncIterator[_Listener]:
    one = _Listener()
    server = await asyncio.start_server(one.accept, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()


async def _connect(listener: _Listener, source: Source) -> tuple[_Connection, tuple[str, int]]:
    made = _Connection()
    async with asyncio.timeout(10):
        await connect_from(asyncio.get_running_loop(), lambda: made, "127.0.0.1", listener.port, source)
        return made, await listener.came.get()


async def test_the_connection_comes_from_the_address(listener: _Listener) -> None:
    made, came = await _connect(listener, Source("gate.test", "127.0.0.7"))
    assert came[0] == "127.0.0.7"
    made.transport.abort()


async def test_the_connection_comes_from_a_port_of_the_range_and_each_is_used(listener: _Listener) -> None:
    first = free_ports(1)[0]
    ports = (first, min(first + 2, 65535))
    source = Source("gate.test", "127.0.0.8", ports)
    made = [await _connect(listener, source) for _ in range(ports[1] - ports[0] + 1)]
    assert sorted(came for _, came in made) == [("127.0.0.8", port) for port in range(ports[0], ports[1] + 1)]
    # Now all are in use towards this peer.
    with pytest.raises(OSError, match=f"no source port of {ports[0]}-{ports[1]} is free at 127") as caught:
        await _connect(listener, source)
    assert caught.value.errno == errno.EADDRINUSE
    for connection, _ in made:
        connection.transport.abort()


async def test_connections_to_different_peers_share_a_port(listener: _Listener) -> None:
    other = _Listener()
    server = await asyncio.start_server(other.accept, "127.0.0.1", 0)
    other.port = server.sockets[0].getsockname()[1]
    first = free_ports(1)[0]
    source = Source("gate.test", "127.0.0.9", (first, first))
    made = [await _connect(one, source) for one in (listener, other)]
    assert [came for _, came in made] == [("127.0.0.9", first)] * 2
    for connection, _ in made:
        connection.transport.abort()
    server.close()


async def test_a_range_holds_without_an_address_too(listener: _Listener) -> None:
    first = free_ports(1)[0]
    made, came = await _connect(listener, Source("gate.test", None, (first, first)))
    assert came == ("127.0.0.1", first)
    made.transport.abort()


async def test_an_address_of_another_host_is_named(listener: _Listener) -> None:
    for ports in (None, (40000, 40100)):
        with pytest.raises(OSError, match=r"source address 192\.0\.2\.77 is none of this host's"):
            await _connect(listener, Source("gate.test", "192.0.2.77", ports))


async def test_an_address_of_the_other_ip_version_is_not_used(listener: _Listener) -> None:
    made, came = await _connect(listener, Source("gate.test", "2001:db8::1"))
    assert came[0] == "127.0.0.1"
    made.transport.abort()


async def test_a_connection_that_is_given_up_leaves_nothing_behind() -> None:
    """Nobody accepts, and the queue of those who wait is full: the kernel answers no further connection."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        source = Source("gate.test", "127.0.0.7", (40_200, 40_300))
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connect_from(
                        asyncio.get_running_loop(), asyncio.Protocol, "127.0.0.1", full.getsockname()[1], source
                    )
        left = [one.laddr for one in psutil.Process().net_connections("tcp4") if one.status == psutil.CONN_SYN_SENT]
        assert not [address for address in left if address.ip == "127.0.0.7"]


async def test_a_refused_connection_is_told_and_no_other_port_is_tried(listener: _Listener) -> None:
    (nobody,) = free_ports(1)
    with pytest.raises(ConnectionRefusedError):
        await connect_from(
            asyncio.get_running_loop(),
            asyncio.Protocol,
            "127.0.0.1",
            nobody,
            Source("gate.test", "127.0.0.7", (40000, 40100)),
        )


def test_this_hosts_addresses_are_known_and_asked_for_again() -> None:
    now = [0.0]
    own = OwnAddresses(lambda: now[0])
    assert own("127.0.0.3")
    assert not own("192.0.2.77")
    assert not own("2001:db8::77")
    assert own("::1") is socket.has_dualstack_ipv6()
    own._known["192.0.2.77"] = (True, 30.0)
    assert own("192.0.2.77")
    now[0] = 31.0
    assert not own("192.0.2.77")
