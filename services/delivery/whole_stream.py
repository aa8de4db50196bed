"""A stream that counts only when it was read to its end once (I/O: reads it).

Owns: telling when a process that began has had all that the stream kept for it. Nobody says so by name: the broker's
count of a stream may run behind, or ahead of what is kept of it, so silence decides.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aio_pika.abc import AbstractConnection

from shared.broker.connect import Link
from shared.broker.consume import StreamReader
from shared.broker.topology import Queue

# So much silence ends the first reading; less of it when as many entries have come as the broker counts.
_SILENCE_S = 1.0
_AFTER_LAST_S = 0.3


class WholeStream:
    """One stream, from its first entry on. Made before the link is started.

    on_entry: gets each entry; what it raises is logged, and the entry passed over. on_read: called once, at the end.
    """

    def __init__(
        self, link: Link, queue: Queue, on_entry: Callable[[bytes], Awaitable[None]], on_read: Callable[[], None]
    ) -> None:
        self._link = link
        self._queue = queue
        self._on_entry = on_entry
        self._on_read = on_read
        self._read = asyncio.Event()
        self._expected = 0
        self._seen = 0
        self._silence: asyncio.TimerHandle | None = None
        link.on_up(self._count)
        StreamReader(link, queue.value, self._take)

    @property
    def is_read(self) -> bool:
        """Whether it was read to its end once."""
        return self._read.is_set()

    async def wait_read(self) -> None:
        """Wait until it was read to its end once."""
        await self._read.wait()

    def count_as_read(self) -> None:
        """Go on with what has come so far."""
        if not self.is_read:
            self._read.set()
            self._on_read()

    async def _count(self, connection: AbstractConnection) -> None:
        # A channel of its own, for one that the link has opened ends the connection when it closes.
        channel = await connection.channel(publisher_confirms=False)
        try:
            declared = await (await channel.get_underlay_channel()).queue_declare(self._queue.value, passive=True)
        finally:
            await channel.close()
        self._expected, self._seen = declared.message_count or 0, 0
        self._wait_on()

    async def _take(self, body: bytes) -> None:
        self._seen += 1
        self._wait_on()
        await self._on_entry(body)

    def _wait_on(self) -> None:
        if self.is_read:
            return
        if self._silence is not None:
            self._silence.cancel()
        wait_s = _AFTER_LAST_S if self._seen >= self._expected else _SILENCE_S
        self._silence = asyncio.get_running_loop().call_later(wait_s, self._fall_silent)

    def _fall_silent(self) -> None:
        if self._link.is_up:
            self.count_as_read()
        else:
            # Lost while it was read, or not up as a whole yet.
            self._wait_on()
