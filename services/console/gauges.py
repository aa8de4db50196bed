"""What only the console can count for Prometheus: queues, the broker's alarms, how long the oldest mail has waited.

Input: the management API, SQL (I/O).
Owns: the loop that sets these figures. Each console tells the same, so rules take the highest.
On failure: figures of what cannot be asked are taken away, so that nobody takes old ones for new; the log says it once.
"""

import asyncio
import time

import structlog
from prometheus_client import Gauge
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from services.console.actions.desk import ActionError, Desk
from services.console.management import ManagementError
from services.console.pulse.broker import ask_broker
from services.console.rows import WAITING
from services.console.tables import messages, quarantine

_log = structlog.get_logger()
EVERY_S = 15.0

QUEUED = Gauge("gatepost_queue_messages", "Messages in a queue: ready, or in work", ["queue", "state"])
CONSUMERS = Gauge("gatepost_queue_consumers", "Consumers of a queue", ["queue"])
ALARM = Gauge("gatepost_broker_alarm", "1 while a node holds publishers back, by what it lacks", ["node", "lacks"])
DISK_FREE = Gauge("gatepost_broker_disk_free_bytes", "Disk that a node of the broker has left", ["node"])
OLDEST = Gauge("gatepost_oldest_waiting_seconds", "Age of the oldest message that waits, by its state", ["state"])
HELD = Gauge("gatepost_quarantine_messages", "Messages held in quarantine")


class Gauges:
    """The figures of one gateway. desk: at which to ask."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._failing: set[str] = set()

    async def run_for_ever(self) -> None:
        """Set the figures again and again, until cancelled."""
        while True:
            await self.look(time.time())
            await asyncio.sleep(EVERY_S)

    async def look(self, now: float) -> None:
        """Set all figures once. now: Unix seconds."""
        await asyncio.gather(self._look_at_broker(), self._look_at_records(now))

    async def _look_at_broker(self) -> None:
        if self._desk.settings.management is None:
            return
        try:
            queues, broker = await ask_broker(self._desk.settings)
        except (ActionError, ManagementError, ValueError) as error:
            for gauge in (QUEUED, CONSUMERS, ALARM, DISK_FREE):
                gauge.clear()
            self._say("broker", error)
            return
        for depth in queues:
            QUEUED.labels(depth.queue, "ready").set(depth.ready)
            QUEUED.labels(depth.queue, "unacked").set(depth.unacked)
            CONSUMERS.labels(depth.queue).set(depth.consumers)
        for node in broker.nodes:
            ALARM.labels(node.name, "disk").set(node.disk_alarm)
            ALARM.labels(node.name, "memory").set(node.memory_alarm)
            DISK_FREE.labels(node.name).set(node.disk_free_bytes)
        self._failing.discard("broker")

    async def _look_at_records(self, now: float) -> None:
        columns = messages.c
        states = [state.value for state in WAITING]
        oldest = (
            select(columns.state, func.min(columns.first_seen)).where(columns.state.in_(states)).group_by(columns.state)
        )
        try:
            async with self._desk.database.reading() as connection:
                ages = {state: now - at for state, at in await connection.execute(oldest)}
                held = await connection.scalar(select(func.count()).where(quarantine.c.state == "held"))
        except (SQLAlchemyError, OSError) as error:
            OLDEST.clear()
            self._say("database", error)
            return
        for state in states:
            OLDEST.labels(state).set(max(0.0, ages.get(state, 0.0)))
        HELD.set(held or 0)
        self._failing.discard("database")

    def _say(self, what: str, error: Exception) -> None:
        if what not in self._failing:
            self._failing.add(what)
            _log.warning("gauges-not-known", of=what, cause=str(error).splitlines()[0][:300] if str(error) else "")
