"""One AMQP connection that is kept up (I/O).

Owns: connecting, connecting again with growing pauses, and telling whether the broker is up or blocks publishers.
On failure: an unreachable broker is logged and tried again for ever; nothing here raises but `close` on cancellation.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from shared.settings import BrokerSettings

_log = structlog.get_logger()

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 3.0
_CONNECT_TIMEOUT_S = 8.0
_HEARTBEAT_S = 10

OnUp = Callable[[AbstractConnection], Awaitable[None]]


async def open_connection(settings: BrokerSettings, name: str) -> AbstractConnection:
    """Open one connection. Raises what aio-pika raises (OSError, AMQPError, TimeoutError)."""
    context = None
    if settings.tls:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    return await aio_pika.connect(
        host=settings.host,
        port=settings.port,
        login=settings.user,
        password=settings.password.get_secret_value(),
        virtualhost=settings.vhost,
        ssl=settings.tls,
        ssl_context=context,
        timeout=_CONNECT_TIMEOUT_S,
        heartbeat=_HEARTBEAT_S,
        client_properties={"connection_name": name},
    )


class Link:
    """A connection kept up by a task. Users register `on_up` calls, which run after each (re)connect, in order."""

    def __init__(self, settings: BrokerSettings, name: str) -> None:
        self.name = name
        self._settings = settings
        self._on_up: list[OnUp] = []
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def user(self) -> str:
        """The name that the broker knows us by."""
        return self._settings.user

    def on_up(self, call: OnUp) -> None:
        """Have a coroutine function called with each new connection; register before `start`."""
        self._on_up.append(call)

    @property
    def is_up(self) -> bool:
        """Whether there is a connection whose users are all set up."""
        return self._up.is_set() and not self._lost.is_set()

    @property
    def is_blocked(self) -> bool:
        """Whether the broker holds publishers back (memory or disk alarm)."""
        transport = self._connection.transport if self._connection else None
        if transport is None:
            return False
        # aiormq keeps this in a private event; the name is checked in tests/contract.
        event: asyncio.Event | None = getattr(transport.connection, "_Connection__connection_unblocked", None)
        return event is not None and not event.is_set()

    async def open_channel(self, connection: AbstractConnection, *, confirms: bool = False) -> Channel:
        """Open a channel whose end is this connection's end, too: another is then opened, and all its users set up.

        For aiormq tells nobody by itself that the broker closed a channel or cancelled its consumer (a queue deleted
        or moved): the process would stay connected, and deaf or mute.
        """
        opened = await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        # aio-pika opens the channel; frames written one layer below it cost half.
        channel = await opened.get_underlay_channel()
        assert isinstance(channel, Channel)
        lost = self._lost
        channel.closing.add_done_callback(lambda _: lost.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: lost.set())
        return channel

    async def wait_up(self) -> None:
        """Wait until the link is up; bound it with `asyncio.timeout`."""
        await self._up.wait()

    def renew(self) -> None:
        """Give the present connection up and open another, after a user of it found it unusable."""
        self._lost.set()

    def start(self) -> None:
        """Begin to connect in the background."""
        self._task = asyncio.create_task(self._keep(), name=f"link-{self.name}")

    async def close(self) -> None:
        """Close the connection and end the task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._drop()

    async def _keep(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            if await self._connect():
                pause_s = _FIRST_PAUSE_S
                await self._lost.wait()
                self._up.clear()
                _log.warning("broker-connection-lost", link=self.name)
            await self._drop()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _connect(self) -> bool:
        lost = self._lost = asyncio.Event()
        try:
            self._connection = connection = await open_connection(self._settings, self.name)
            connection.close_callbacks.add(lambda *_: lost.set())
            for call in self._on_up:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    await call(connection)
        except Exception as error:  # whatever it is, the next try may succeed
            _log.warning("broker-unreachable", link=self.name, cause=f"{type(error).__name__}: {error}")
            return False
        _log.info("broker-connected", link=self.name)
        self._up.set()
        return True

    async def _drop(self) -> None:
        self._up.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2):
                    await connection.close()
