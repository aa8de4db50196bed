"""The delivery service, wired (I/O): links, policy, resolver, hops, consumers, health; and its orderly end.

On SIGTERM: takes no more messages, finishes what is under way within 20 s, leaves the rest to the broker (at once what
still waits for a hop to answer), exits 0.
On failure: a broker that answers but gives no consumer for 30 s ends the process with an error, to be started again.
"""

import asyncio
import contextlib
import random
import signal
import time

import structlog

from services.delivery.consumer import DeliveryConsumer
from services.delivery.courier import Courier
from services.delivery.hops import Hops
from services.delivery.mx import Exchangers
from services.delivery.prober import Prober
from services.delivery.settings import DeliverySettings
from services.delivery.settle import Settlement
from services.delivery.verify import PREFETCH, VerifyConsumer
from shared.broker.connect import Link
from shared.broker.consume import Consumer
from shared.broker.events import EventSender
from shared.broker.in_force import PolicyInForce
from shared.broker.publish import Publisher
from shared.broker.topology import Queue
from shared.dns.open import open_resolver
from shared.event import Stage
from shared.gate import Gate
from shared.health import HealthServer
from shared.state.open import open_state

_log = structlog.get_logger()
_DRAIN_S = 20.0
_GIVE_UP_EVERY_S = 0.5
_WATCH_EVERY_S = 2.0
_NO_CONSUMER_S = 30.0


class DeliveryService:
    """All parts of one process."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._publishing = Link(settings.broker, "delivery-publish")
        self._consuming = Link(settings.broker, "delivery-consume")
        # Apart from the mail's, so that nothing about questions can stop mail.
        self._verifying = Link(settings.broker, "delivery-verify")
        publisher = Publisher(self._publishing)
        # The policy comes on the publishing link, so that consuming need not begin before it is known.
        self._in_force = PolicyInForce(self._publishing)
        self._events = EventSender(publisher, Stage.DELIVERY)
        self._resolver = open_resolver(settings.dns)
        exchangers = Exchangers(
            self._resolver,
            settings.hostname,
            settings.own_addresses,
            allow_private=settings.allow_private_mx,
            port=settings.mx_port,
            shuffle=random.shuffle,
        )
        self._courier = Courier(
            settings.hostname, settings.data_dir, self._resolver, exchangers, settings.source_address
        )
        self._hops = Hops(time.monotonic, settings.prefetch + settings.again_prefetch)
        settlement = Settlement(publisher, self._events, settings.hostname)
        handler = DeliveryConsumer(
            courier=self._courier,
            hops=self._hops,
            settlement=settlement,
            events=self._events,
            in_force=self._in_force,
            memory_bytes=settings.memory_bytes,
        )
        self._consumer = Consumer(self._consuming, Queue.DELIVERY.value, settings.prefetch, handler.handle)
        # What has waited on the ladder has places of its own, so that however much of it there is, new mail passes.
        self._again = Consumer(self._consuming, Queue.DELIVERY_AGAIN.value, settings.again_prefetch, handler.handle)
        verify = VerifyConsumer(Prober(self._courier, self._hops), publisher, self._in_force)
        self._questions = Consumer(self._verifying, Queue.VERIFY.value, PREFETCH, verify.handle)
        self._state = open_state(settings.redis) if settings.redis else None
        self.health = HealthServer(
            settings.health,
            {
                "policy": lambda: self._in_force.is_known,
                "publishing": lambda: self._publishing.is_up,
                "consuming": lambda: self._is_consuming,
            },
            gate=Gate(self._in_force, self._state),
        )

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until `stop` is set; return the process's exit code."""
        if self._state is not None:
            await self._state.start()
        await self.health.start()
        self._publishing.start()
        self._events.start()
        tasks = [asyncio.create_task(self._consume_once_ready()), asyncio.create_task(self._watch())]
        stopping = asyncio.create_task(stop.wait())
        try:
            # Only the watch can end by itself, and only badly; the first task ends once consuming has begun.
            await asyncio.wait({stopping, tasks[1]}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)
            await self._end()
        return 0 if stop.is_set() else 1

    @property
    def _is_consuming(self) -> bool:
        return self._consumer.is_consuming and self._again.is_consuming

    async def _consume_once_ready(self) -> None:
        await self._in_force.wait_known()
        self._consuming.start()
        self._verifying.start()

    async def _watch(self) -> None:
        fine_at = time.monotonic()
        while time.monotonic() - fine_at < _NO_CONSUMER_S:
            await asyncio.sleep(_WATCH_EVERY_S)
            if self._is_consuming or not self._consuming.is_up:
                fine_at = time.monotonic()
        _log.error("no-consumer", queue=Queue.DELIVERY.value, for_s=_NO_CONSUMER_S)

    async def _end(self) -> None:
        _log.info("draining", under_way=self._consumer.busy + self._again.busy)
        draining = asyncio.gather(
            *(consumer.drain(_DRAIN_S) for consumer in (self._consumer, self._again, self._questions))
        )
        while not draining.done():
            self._courier.give_up_connecting()
            await asyncio.wait({draining}, timeout=_GIVE_UP_EVERY_S)
        self._hops.close()
        await self._events.close()
        await self._consuming.close()
        await self._verifying.close()
        await self._publishing.close()
        await self._resolver.close()
        await self.health.close()
        if self._state is not None:
            await self._state.close()
        self._courier.close()
        _log.info("ended", left_to_the_broker=self._consumer.busy + self._again.busy)


async def serve(settings: DeliverySettings) -> int:
    """Run the service until SIGTERM or SIGINT; return the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with contextlib.ExitStack() as undo:
        for number in (signal.SIGTERM, signal.SIGINT):
            undo.callback(loop.remove_signal_handler, number)
        return await DeliveryService(settings).run(stop)
