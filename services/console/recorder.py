"""Taking events and quarantined mail from RabbitMQ into SQL (I/O).

Owns: gathering deliveries, one transaction for many of them, and acknowledging each after its commit.
Input: `gatepost.events` (batches), `gatepost.quarantine` (mail, or whatever was dead-lettered).
On failure: while the database does not take rows, deliveries stay unacknowledged and are handed back after a pause,
and `database_works` is False. What cannot be read, or what the tables refuse while the database works, is kept in
`unreadable`.
"""

import asyncio
import contextlib
import hashlib
import json
import time
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter
from sqlalchemy.exc import OperationalError, ProgrammingError

from services.console.database import Database
from services.console.held import HeldMail, broker_event, held_mail
from services.console.rows import EventRow, Summary, event_rows
from services.console.seen import Seen
from services.console.store import Store, answers
from shared.broker.connect import Link
from shared.broker.consume import Consumer, Delivery
from shared.broker.topology import Queue
from shared.event import encode_events

_log = structlog.get_logger()
_written = Counter("gatepost_recorded_total", "Rows written by the recorder", ["table"])

EVENTS_PREFETCH = 40
QUARANTINE_PREFETCH = 8
# Events gather for a moment, so that a commit (a write to the disk) serves many; quarantined mail does not wait.
_GATHER_S = 0.25
_ENOUGH = EVENTS_PREFETCH // 2
_PAUSE_AFTER_FAILURE_S = 2.0


@dataclass(slots=True)
class _Batch:
    """What one transaction writes."""

    events: list[EventRow] = field(default_factory=list)
    summaries: dict[str, Summary] = field(default_factory=dict)
    held: list[HeldMail] = field(default_factory=list)
    unreadable: list[tuple[object, ...]] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def add(self, rows: list[EventRow]) -> None:
        """Take events, those of a trace and those for other tables apart."""
        for row in rows:
            try:
                if not self.seen.take(row):
                    self.events.append(row)
            except ValueError as error:
                _log.warning("event-unreadable", kind=row.kind, id=row.id, cause=_cause(error))


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A delivery whose commit is awaited."""

    queue: Queue
    delivery: Delivery
    stored: "asyncio.Future[bool]"


class Recorder:
    """The consumers of one recorder process and the task that writes."""

    def __init__(self, link: Link, database: Database) -> None:
        self._database = database
        self._store = Store(is_sqlite=database.is_sqlite)
        self._waiting: list[_Waiting] = []
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.database_works = True
        self._events = Consumer(link, Queue.EVENTS.value, EVENTS_PREFETCH, self._on_events)
        self._quarantine = Consumer(link, Queue.QUARANTINE.value, QUARANTINE_PREFETCH, self._on_quarantine)

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has both consumers."""
        return self._events.is_consuming and self._quarantine.is_consuming

    @property
    def has_ended(self) -> bool:
        """Whether the task that writes is over, which it never should be before `close`."""
        return self._task is not None and self._task.done()

    def start(self) -> None:
        """Begin to write what comes."""
        self._task = asyncio.create_task(self._write_for_ever(), name="recorder")

    async def close(self, deadline_s: float = 5.0) -> None:
        """Take no more, write what was taken, and end; what is not written comes again."""
        self._enough.set()
        await asyncio.gather(self._events.drain(deadline_s), self._quarantine.drain(deadline_s))
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _on_events(self, delivery: Delivery) -> None:
        await self._record(Queue.EVENTS, delivery)

    async def _on_quarantine(self, delivery: Delivery) -> None:
        await self._record(Queue.QUARANTINE, delivery)

    async def _record(self, queue: Queue, delivery: Delivery) -> None:
        waiting = _Waiting(queue, delivery, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._some.set()
        if queue is Queue.QUARANTINE or len(self._waiting) >= _ENOUGH:
            self._enough.set()
        if await waiting.stored:
            await delivery.ack()
        else:
            await delivery.hand_back()

    async def _write_for_ever(self) -> None:
        while True:
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_S):
                    await self._enough.wait()
            self._some.clear()
            self._enough.clear()
            taken, self._waiting = self._waiting, []
            # A stale delivery comes again by itself; writing it would be work for nothing.
            await self._write([waiting for waiting in taken if not waiting.delivery.stale])
            for waiting in taken:
                if not waiting.stored.done():
                    waiting.stored.set_result(False)

    async def _write(self, taken: list[_Waiting]) -> None:
        try:
            await self._commit(taken)
        except Exception as error:
            # Locked, full, gone, not migrated, no rights: the database's trouble. Anything else may be one delivery's.
            if not isinstance(error, OperationalError | ProgrammingError) and await self._answers():
                _log.warning("batch-refused", cause=_cause(error), deliveries=len(taken))
                await self._write_singly(taken)
            else:
                await self._suffer(error)
        else:
            self.database_works = True

    async def _write_singly(self, taken: list[_Waiting]) -> None:
        """Write one delivery at a time, after a working database refused them together: a bad one costs no other."""
        for waiting in taken:
            try:
                await self._commit([waiting])
            except Exception as error:
                try:
                    await self._put_aside(waiting, error)
                except Exception as second:
                    await self._suffer(second)
                    return
        self.database_works = True

    async def _commit(self, taken: list[_Waiting]) -> None:
        batch = _batch(taken)
        async with self._database.writing() as connection:
            await self._store.write_events(connection, batch.events, batch.summaries)
            await self._store.write_held(connection, batch.held)
            await self._store.write_dmarc(connection, batch.seen.dmarc)
            await self._store.write_tls(connection, batch.seen.tls)
            await self._store.write_hops(connection, batch.seen.hops, time.time())
            for row in batch.unreadable:
                await self._store.write_unreadable(connection, row)
        _done(taken)
        _written.labels("events").inc(len(batch.events))
        _written.labels("quarantine").inc(len(batch.held))
        _written.labels("unreadable").inc(len(batch.unreadable))

    async def _put_aside(self, waiting: _Waiting, error: Exception) -> None:
        _log.error("delivery-put-aside", queue=waiting.queue.value, id=waiting.delivery.message_id, cause=_cause(error))
        async with self._database.writing() as connection:
            await self._store.write_unreadable(connection, _raw(waiting.queue, waiting.delivery, _cause(error)))
        _done([waiting])
        _written.labels("unreadable").inc()

    async def _answers(self) -> bool:
        try:
            async with self._database.reading() as connection:
                return await answers(connection)
        except Exception:  # whatever it is: it does not answer
            return False

    async def _suffer(self, error: Exception) -> None:
        self.database_works = False
        _log.error("database-refuses", where=self._database.where, cause=_cause(error))
        await asyncio.sleep(_PAUSE_AFTER_FAILURE_S)


def _batch(taken: list[_Waiting]) -> _Batch:
    batch = _Batch()
    for waiting in taken:
        delivery = waiting.delivery
        if waiting.queue is Queue.QUARANTINE:
            mail = held_mail(delivery.body, delivery.headers, delivery.message_type, delivery.message_id, time.time())
            batch.held.append(mail)
            told = broker_event(mail)
            if told is not None:
                batch.add(event_rows(encode_events([told]), batch.summaries))
            continue
        try:
            batch.add(event_rows(delivery.body, batch.summaries))
        except ValueError as error:
            batch.unreadable.append(_raw(waiting.queue, delivery, str(error)))
    return batch


def _raw(queue: Queue, delivery: Delivery, cause: str) -> tuple[object, ...]:
    digest = hashlib.sha256(delivery.body).hexdigest()
    headers = json.dumps(dict(delivery.headers), default=repr)
    return digest, queue.value, cause[:1000].replace("\0", "\ufffd"), headers, delivery.body, time.time()


def _done(taken: list[_Waiting]) -> None:
    for waiting in taken:
        if not waiting.stored.done():
            waiting.stored.set_result(True)


def _cause(error: Exception) -> str:
    # SQLAlchemy puts the statement and its parameters, which are mail, behind the first line.
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:500]
