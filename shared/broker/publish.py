"""Publishing with a broker's confirm for each message (I/O).

Owns: `Publisher`, which returns only when the message is safe in a queue, and says in words when it may not be.
On failure: `PublishError` with its kind. After `UNKNOWN` the message may be in the queue all the same.
"""

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import cast

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError
from aiormq.exceptions import PublishError as Returned
from pamqp import commands

from shared.broker.connect import Link
from shared.errors import LOCAL_ERROR, NO_CAPACITY, TemporaryError
from shared.ids import new_id
from shared.logs import in_detail

_log = structlog.get_logger()
_PERSISTENT = 2
DEADLINE_S = 10.0
_RENEWAL_POLL_S = 0.05


class PublishFailure(StrEnum):
    """Why a publish did not come to a confirm."""

    UNAVAILABLE = "unavailable"  # no connection; nothing was sent
    REFUSED = "refused"  # the queue is full (reject-publish)
    UNROUTABLE = "unroutable"  # nobody is bound with this key
    UNKNOWN = "unknown"  # sent, but no confirm came: it may or may not be there


class PublishError(TemporaryError):
    """A message that is not known to be safe."""

    def __init__(self, kind: PublishFailure, detail: str) -> None:
        super().__init__(f"publish {kind}: {detail}", NO_CAPACITY if kind is PublishFailure.REFUSED else LOCAL_ERROR)
        self.kind = kind


class Publisher:
    """A confirmed channel on a link, shared by all tasks of a process."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel | None = None
        self._unconfirmed: Channel | None = None
        link.on_up(self._open)

    async def _open(self, connection: AbstractConnection) -> None:
        self._channel = await self._link.open_channel(connection, confirms=True)
        self._unconfirmed = await self._link.open_channel(connection)

    async def send(self, exchange: str, key: str, body: bytes, *, message_type: str, deadline_s: float) -> None:
        """Send what is asked for again if it gets lost: transient, without a confirm. Raises PublishError."""
        properties = commands.Basic.Properties(
            content_type="application/json", delivery_mode=1, message_type=message_type, message_id=new_id()
        )
        channel = self._unconfirmed
        if channel is None or channel.is_closed or not self._link.is_up:
            raise PublishError(PublishFailure.UNAVAILABLE, f"{exchange} key {key}: no connection")
        try:
            async with asyncio.timeout(deadline_s):
                await channel.basic_publish(body, exchange=exchange, routing_key=key, properties=properties, wait=False)
        except Exception as error:  # whatever the channel died of
            raise PublishError(PublishFailure.UNKNOWN, f"{type(error).__name__}: {error}") from None

    async def publish(
        self,
        exchange: str,
        key: str,
        body: bytes | bytearray,
        *,
        headers: Mapping[str, str | int] | None = None,
        message_type: str = "",
        message_id: str | None = None,
        content_type: str = "message/rfc822",
        persistent: bool = True,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Publish and wait for the confirm. Raises PublishError. message_id: unique among those in flight."""
        properties = commands.Basic.Properties(
            content_type=content_type,
            delivery_mode=_PERSISTENT if persistent else 1,
            message_id=message_id or new_id(),
            message_type=message_type,
            headers=dict(headers or {}),
            # The broker lets nobody give another's name, so that a reader knows which stage has published.
            user_id=self._link.user,
        )
        sent = False
        try:
            async with asyncio.timeout(deadline_s):
                channel = await self._ready_channel()
                sent = True
                # aiormq only cuts the body into frames: a bytearray will do, and a copy of a large message is saved.
                confirm = await channel.basic_publish(
                    cast("bytes", body),
                    exchange=exchange,
                    routing_key=key,
                    properties=properties,
                    mandatory=True,
                    wait=False,
                )
        except TimeoutError:
            kind = PublishFailure.UNKNOWN if sent else PublishFailure.UNAVAILABLE
            raise PublishError(kind, f"no confirm within {deadline_s:g} s from {exchange}") from None
        except Returned as error:
            raise PublishError(PublishFailure.UNROUTABLE, f"{exchange} key {key}: {error}") from None
        except DeliveryError:
            raise PublishError(PublishFailure.REFUSED, f"{exchange} key {key}: the queue is full") from None
        except Exception as error:  # whatever the channel died of: the message may have been taken
            raise PublishError(PublishFailure.UNKNOWN, f"{type(error).__name__}: {error}") from error
        if not isinstance(confirm, commands.Basic.Ack):
            raise PublishError(PublishFailure.REFUSED, f"{exchange} answered {type(confirm).__name__}")
        if in_detail():
            _log.debug("published", to=exchange, key=key, id=properties.message_id, octets=len(body))

    async def _ready_channel(self) -> Channel:
        while True:
            await self._link.wait_up()
            channel = self._channel
            if channel is not None and not channel.is_closed:
                return channel
            # Its link is about to connect again.
            await asyncio.sleep(_RENEWAL_POLL_S)
