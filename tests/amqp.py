"""One AMQP connection that is kept and asks several things of a broker in one go (I/O: blocking, for set-ups of tests).

Input: AMQP methods that are answered by one method each. Output: the answers, in order.
On failure: OSError where the broker is away; RefusedByBroker where it refuses. The next question connects anew.
Standard: AMQP 0-9-1.
"""

import socket
from collections.abc import Sequence

from pamqp import commands, frame
from pamqp.base import Frame
from pamqp.header import ProtocolHeader

from shared.settings import BrokerSettings

_TIMEOUT_S = 30.0
_LENGTH = slice(3, 7)
_AROUND = 8  # seven octets before a frame's payload, one behind it
_CHANNEL = 1


class RefusedByBroker(Exception):
    """The broker closed the channel or the connection, with its reason."""


class Asking:
    """A connection and its only channel, opened when first needed."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        self._unread = b""

    def ask(self, questions: Sequence[Frame]) -> list[Frame]:
        """Send all and return an answer to each. Raises RefusedByBroker, OSError."""
        try:
            if self._socket is None:
                self._open()
            return self._asked(_CHANNEL, questions)
        except (OSError, RefusedByBroker):
            self.close()
            raise

    def close(self) -> None:
        """Close the connection without a word."""
        gone, self._socket, self._unread = self._socket, None, b""
        if gone is not None:
            gone.close()

    def _open(self) -> None:
        settings = self._settings
        self._socket = socket.create_connection((settings.host, settings.port), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(ProtocolHeader().marshal())
        self._answer()
        login = f"\0{settings.user}\0{settings.password.get_secret_value()}"
        self._asked(0, [commands.Connection.StartOk(response=login)])
        # No heartbeat: between two tests nobody would send it.
        self._send(0, [commands.Connection.TuneOk(channel_max=1, frame_max=131072, heartbeat=0)])
        self._asked(0, [commands.Connection.Open(virtual_host=settings.vhost)])
        self._asked(_CHANNEL, [commands.Channel.Open()])

    def _asked(self, channel: int, questions: Sequence[Frame]) -> list[Frame]:
        self._send(channel, questions)
        return [self._answer() for _ in questions]

    def _send(self, channel: int, methods: Sequence[Frame]) -> None:
        assert self._socket is not None
        self._socket.sendall(b"".join(frame.marshal(method, channel) for method in methods))

    def _answer(self) -> Frame:
        while len(self._unread) < _AROUND or len(self._unread) < self._next_length():
            self._receive()
        length, (_, _, said) = self._next_length(), frame.unmarshal(self._unread)
        self._unread = self._unread[length:]
        if isinstance(said, commands.Channel.Close | commands.Connection.Close):
            raise RefusedByBroker(said.reply_text)
        assert isinstance(said, Frame)
        return said

    def _next_length(self) -> int:
        return _AROUND + int.from_bytes(self._unread[_LENGTH], "big")

    def _receive(self) -> None:
        assert self._socket is not None
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionResetError("the broker closed the connection")
        self._unread += received
