"""One connection to Redis that all calls of a process share (I/O).

Owns: that calls go out one behind the other without waiting for each other's answers, which costs a fraction of a
pool's CPU; Redis carries them out in the order in which they were made. The `redis` package connects, logs in and
speaks the protocol.
On failure: TimeoutError, OSError or RedisError; the connection is of no more use then, and its owner abandons it. What
Redis refuses (ResponseError) is an answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionGone
from redis.exceptions import RedisError, ResponseError

from shared.settings import RedisSettings

_CONNECT_S = 0.5
# A quarter of a second without any answer. Counted in turns of the loop: while it stood still (a busy machine), Redis
# had no chance to be heard.
_TICK_S = 0.05
_SILENT_TICKS = 5
# Where the socket takes nothing more.
_BACKSTOP_S = 1.0

Word = str | int
# What Redis answers depends on the command; the caller names the type.
Answer = Any


class Wire:
    """A connection, from `open` until it ends or is abandoned. ended: called when it is of no more use."""

    def __init__(self, settings: RedisSettings, ended: "Callable[[Wire, Exception], None]") -> None:
        self._connection = _connection(settings)
        self._ended = ended
        self._reading: asyncio.Task[None] | None = None
        # The calls that wait for an answer, in the order in which answers come.
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._silent_ticks = 0

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._reading is not None and not self._reading.done()

    async def open(self) -> None:
        """Connect and log in, within half a second."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await self._connection.disconnect(nowait=True)
            raise
        self._reading = asyncio.create_task(self._read())

    def abandon(self) -> None:
        """End it; calls under way fail."""
        if self._reading is not None:
            self._reading.cancel()

    async def close(self) -> None:
        """End it, and wait until it has ended."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def ask(self, words: Sequence[Word]) -> Answer:
        """Return the answer to a command; ResponseError is one, too. A quarter of a second without any is the end."""
        if not self.is_open:
            raise ConnectionGone("no connection")
        packed = self._connection.pack_command(*words)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if self._watch is None:
            self._watch = loop.call_later(_TICK_S, self._tick)
        async with asyncio.timeout(_BACKSTOP_S):
            self._waiting.append(future)
            await self._connection.send_packed_command(packed, check_health=False)
            answer = await future
        if isinstance(answer, ConnectionGone):
            raise answer
        return answer

    async def _read(self) -> None:
        """Hand out answers until the connection ends."""
        try:
            while True:
                answer = await self._next_answer()
                if not self._waiting:
                    raise ConnectionGone(f"an answer to nothing: {answer}")
                future = self._waiting.popleft()
                self._silent_ticks = 0
                if not future.done():  # else the caller has given up
                    future.set_result(answer)
        except (RedisError, OSError) as error:
            self._ended(self, error)
        finally:
            if self._watch is not None:
                self._watch.cancel()
            for future in self._waiting:
                if not future.done():
                    future.set_result(ConnectionGone("connection lost"))
            await self._connection.disconnect(nowait=True)

    def _tick(self) -> None:
        """Look whether calls wait in vain."""
        self._watch = None
        if not self._waiting:
            self._silent_ticks = 0
            return
        self._silent_ticks += 1
        if self._silent_ticks > _SILENT_TICKS:
            self._ended(self, TimeoutError("no answer"))
        else:
            self._watch = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    async def _next_answer(self) -> Answer:
        try:
            return await self._connection.read_response(disconnect_on_error=False)
        except ResponseError as refused:
            return refused


def _connection(settings: RedisSettings) -> Connection:
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "db": settings.db,
        "username": settings.user,
        "password": settings.password.get_secret_value() if settings.password is not None else None,
        "socket_connect_timeout": _CONNECT_S,
        # The deadlines are ours: it is read from all the time, also when no answer is due.
        "socket_timeout": None,
        # Nothing is tried twice: the caller has somewhere else to go.
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
        "encoding_errors": "surrogateescape",
        "protocol": 2,
    }
    if not settings.tls:
        return Connection(**options)
    options["ssl_ca_certs"] = str(settings.ca_file) if settings.ca_file is not None else None
    return SSLConnection(ssl_cert_reqs="required", ssl_check_hostname=True, **options)
