"""Clients that hold connections and do next to nothing with them (I/O: SMTP): idle ones, and slow senders.

async with Crowd(port).standing(idle=10_000, slow=200) as crowd: …; crowd.lost tells how many the server closed.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_BATCH = 200
_OCTET_EVERY_S = 10.0
_CONNECT_S = 60.0
_BEGINNING = (b"EHLO slow.test\r\n", b"MAIL FROM:<x@away.test>\r\n", b"RCPT TO:<user@sink.test>\r\n", b"DATA\r\n")


@dataclass
class Crowd:
    """The connections. port: of the listener, on loopback."""

    port: int
    _open: list[socket.socket] = field(default_factory=list)
    _slow: list[socket.socket] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """How many connections the server has closed."""
        return sum(_is_closed(one) for one in self._open)

    @contextlib.asynccontextmanager
    async def standing(self, *, idle: int, slow: int) -> AsyncIterator["Crowd"]:
        """Have all of them connected and greeted for the length of a `with`."""
        try:
            for begun in range(0, idle + slow, _BATCH):
                count = min(_BATCH, idle + slow - begun)
                self._open += await asyncio.gather(*(self._connect() for _ in range(count)))
            self._slow = self._open[:slow]
            await asyncio.gather(*(_begin_a_message(one) for one in self._slow))
            dripping = asyncio.create_task(self._drip())
            try:
                yield self
            finally:
                dripping.cancel()
        finally:
            for one in self._open:
                one.close()

    async def _connect(self) -> socket.socket:
        one = socket.socket()
        one.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_S):
            await loop.sock_connect(one, ("127.0.0.1", self.port))
            greeting = await loop.sock_recv(one, 512)
        assert greeting.startswith(b"220"), greeting
        return one

    async def _drip(self) -> None:
        while True:
            for one in self._slow:
                with contextlib.suppress(OSError):
                    one.send(b"x")
                # Spread evenly, as independent clients would be.
                await asyncio.sleep(_OCTET_EVERY_S / len(self._slow))


async def _begin_a_message(one: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for line in _BEGINNING:
        await loop.sock_sendall(one, line)
        async with asyncio.timeout(_CONNECT_S):
            reply = await loop.sock_recv(one, 2048)
        assert reply[:1] in b"23", reply


def _is_closed(one: socket.socket) -> bool:
    try:
        return one.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
