"""An SMTP server at the end of the way that counts each Message-ID it takes (I/O: SMTP over loopback).

Output: `arrivals` by Message-ID; nothing of a message is kept.
On failure, on demand: a reply of one's choice to RCPT or to the end of the message, or a delay before the latter.

As a command: python -m tests.load.sink --port 2626   (Ctrl-C prints the sums)
"""

import argparse
import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable

_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE)
_END = b"\r\n.\r\n"
_EHLO = b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 0\r\n"
# Where the fields end; more of a message is not looked at.
_HEAD_LIMIT = 65_536


class Sink:
    """One sink. rcpt_reply, data_reply: instead of 250. delay_s: before the reply to the end of a message."""

    def __init__(self) -> None:
        self.arrivals: Counter[str] = Counter()
        self.arrived_at: dict[str, float] = {}
        self.messages = 0
        self.open_transactions = 0
        self.most_open = 0
        self.rcpt_reply = b""
        self.data_reply = b""
        self.delay_s = 0.0
        self.port = 0
        self._changed = asyncio.Event()
        self._protocols: set[_Protocol] = set()

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["Sink"]:
        """Take connections for the length of a `with`."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Protocol(self, self._protocols), "127.0.0.1", port, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut_off()
            await server.wait_closed()

    @property
    def duplicates(self) -> int:
        """How many arrivals there were beyond one per Message-ID."""
        return self.arrivals.total() - len(self.arrivals)

    def cut_off(self) -> None:
        """End all connections without a word."""
        for protocol in list(self._protocols):
            protocol.abort()

    async def has(self, message_ids: Iterable[str], deadline_s: float) -> set[str]:
        """Return those that have not arrived by the deadline; at once when all have."""
        missing = set(message_ids) - self.arrivals.keys()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while missing:
                    self._changed.clear()
                    await self._changed.wait()
                    missing -= self.arrivals.keys()
        return missing

    async def taken(self, count: int, deadline_s: float) -> None:
        """Return when so many messages have been taken since the start. Raises TimeoutError."""
        async with asyncio.timeout(deadline_s):
            while self.messages < count:
                self._changed.clear()
                await self._changed.wait()

    def take(self, message_id: str) -> None:
        """Note an arrival."""
        self.messages += 1
        self.arrivals[message_id] += 1
        self.arrived_at.setdefault(message_id, time.time())
        self._changed.set()


class _Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: Sink, all_of_them: "set[_Protocol]") -> None:
        self._sink = sink
        self._all = all_of_them
        self._held = b""
        self._in_data = False
        self._in_transaction = False
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._all.add(self)
        self._write(b"220 sink.test ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._all.discard(self)
        self._end_transaction()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._held += data
        while self._message_part() if self._in_data else self._command():
            pass

    def _write(self, reply: bytes) -> None:
        if self._transport is not None:
            self._transport.write(reply)

    def _command(self) -> bool:
        line, found, rest = self._held.partition(b"\r\n")
        if not found:
            return False
        self._held = rest
        match line[:4].upper():
            case b"EHLO" | b"HELO":
                self._write(_EHLO)
            case b"MAIL":
                self._begin_transaction()
                self._write(b"250 2.1.0 OK\r\n")
            case b"RCPT":
                self._write(self._sink.rcpt_reply or b"250 2.1.5 OK\r\n")
            case b"DATA":
                self._in_data = True
                # The CRLF before an end that follows at once.
                self._held, self._head = b"\r\n" + self._held, b""
                self._write(b"354 go on\r\n")
            case b"RSET":
                self._end_transaction()
                self._write(b"250 2.0.0 OK\r\n")
            case b"QUIT":
                self._write(b"221 2.0.0 bye\r\n")
                if self._transport is not None:
                    self._transport.close()
            case _:
                self._write(b"250 2.0.0 OK\r\n")
        return True

    def _message_part(self) -> bool:
        end = self._held.find(_END)
        if end < 0:
            if len(self._head) < _HEAD_LIMIT:
                self._head += self._held[:-4]
            self._held = self._held[-4:]
            return False
        head = self._head + self._held[:end]
        self._held = self._held[end + len(_END) :]
        self._in_data = False
        found = _MESSAGE_ID.search(head[:_HEAD_LIMIT])
        message_id = found[1].decode("ascii", "replace") if found else "(none)"
        if self._sink.delay_s:
            asyncio.get_running_loop().call_later(self._sink.delay_s, self._finish, message_id)
        else:
            self._finish(message_id)
        return True

    def _finish(self, message_id: str) -> None:
        if self._transport is None:
            return
        if self._sink.data_reply:
            self._write(self._sink.data_reply)
        else:
            # Counted before the reply: a client that is killed now has delivered it.
            self._sink.take(message_id)
            self._write(b"250 2.0.0 taken\r\n")
        self._end_transaction()

    def _begin_transaction(self) -> None:
        if not self._in_transaction:
            self._in_transaction = True
            self._sink.open_transactions += 1
            self._sink.most_open = max(self._sink.most_open, self._sink.open_transactions)

    def _end_transaction(self) -> None:
        if self._in_transaction:
            self._in_transaction = False
            self._sink.open_transactions -= 1


async def _serve(port: int) -> None:
    sink = Sink()
    async with sink.listening(port):
        print(f"listening on 127.0.0.1:{sink.port}", flush=True)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            print(f"{sink.messages} messages, {len(sink.arrivals)} Message-IDs, {sink.duplicates} duplicates")


def main() -> None:
    """Serve until Ctrl-C."""
    arguments = argparse.ArgumentParser(description="An SMTP sink that counts Message-IDs.")
    arguments.add_argument("--port", type=int, default=2626)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.parse_args().port))


if __name__ == "__main__":
    main()
