"""Sending events to the recorder without ever holding up mail (I/O).

Owns: `EventSender`, which batches. Beyond its bound the oldest are dropped and counted
(`gatepost_events_dropped_total`).
"""

import asyncio
import contextlib
import socket
import time
from collections import deque
from dataclasses import replace

import structlog
from prometheus_client import Counter

from shared.broker.publish import Publisher, PublishError
from shared.broker.topology import Exchange, Key
from shared.event import Event, EventKind, Facts, Stage, encode_events
from shared.ids import new_id

_log = structlog.get_logger()
EVENTS_TYPE = "gatepost.events.v1"
_BATCH = 500
_BOUND = 50_000
# Well below what a broker takes (16 MiB by default on RabbitMQ 4).
_MAX_BODY_BYTES = 4_000_000
_PAUSE_S = 0.2
_dropped = Counter("gatepost_events_dropped_total", "Events given up because the broker did not take them in time")


class EventSender:
    """A stage's way to the recorder."""

    def __init__(self, publisher: Publisher, stage: Stage) -> None:
        self._publisher = publisher
        self._stage = stage
        self._host = socket.gethostname()
        self._waiting: deque[Event] = deque()
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def tell(self, message_id: str, kind: EventKind, /, **facts: object) -> None:
        """Note a fact; it is sent soon. facts: JSON values (see EventKind)."""
        if len(self._waiting) >= _BOUND:
            self._waiting.popleft()
            _dropped.inc()
        checked: Facts = facts  # type: ignore[assignment]  # JSON is checked when the batch is encoded
        self._waiting.append(Event(new_id(), message_id, time.time(), self._stage, self._host, kind, checked))
        self._some.set()

    def start(self) -> None:
        """Begin to send in the background."""
        self._task = asyncio.create_task(self._send_for_ever(), name="events")

    async def close(self, deadline_s: float = 3.0) -> None:
        """Send what waits, within the deadline, and end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(TimeoutError, PublishError):
            async with asyncio.timeout(deadline_s):
                while self._waiting:
                    await self._send_batch()

    async def _send_for_ever(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                try:
                    await self._send_batch()
                except PublishError as error:
                    _log.warning("events-wait", cause=error.reason, waiting=len(self._waiting))
                    await asyncio.sleep(1)
                if len(self._waiting) < _BATCH:
                    await asyncio.sleep(_PAUSE_S)

    async def _send_batch(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        try:
            body = _encode(batch)
            while len(body) > _MAX_BODY_BYTES and len(batch) > 1:
                # Strangers choose how long a verdict's reasons are, and how many domains it is for.
                half = len(batch) // 2
                self._waiting.extendleft(reversed(batch[half:]))
                batch = batch[:half]
                body = _encode(batch)
            if len(body) > _MAX_BODY_BYTES:
                _log.error("event-is-too-long", id=batch[0].id, kind=batch[0].kind, size_bytes=len(body))
                body = _encode([replace(batch[0], facts={})])
            await self._publisher.publish(
                Exchange.EVENTS.value,
                Key.EVENTS.value,
                body,
                message_type=EVENTS_TYPE,
                content_type="application/json",
            )
        except (PublishError, asyncio.CancelledError):
            self._waiting.extendleft(reversed(batch))
            raise


def _encode(batch: list[Event]) -> bytes:
    """An event that cannot be JSON (a lone surrogate in a subject, say) loses its facts; no other event loses any."""
    try:
        return encode_events(batch)
    except ValueError:
        return encode_events([event if _is_json(event) else replace(event, facts={}) for event in batch])


def _is_json(event: Event) -> bool:
    try:
        encode_events([event])
    except ValueError as error:
        _log.error("event-is-no-json", id=event.id, kind=event.kind, cause=str(error))
        return False
    return True
