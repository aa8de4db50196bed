"""The delivery service, wired (I/O): links, policy, resolver, hops, consumers, health; and its orderly end.

On SIGTERM: takes no more messages, finishes what is under way within 20 s, leaves the rest to the broker (at once what
still waits for a hop to answer), exits 0.
On failure: a broker that answers but gives no consumer for 30 s ends the process with an error, to be started again.
"""

import asyncio
import contextlib
import gc
import random
import signal
import time

import structlog

from services.delivery.client.binding import OwnAddresses
from services.delivery.client.session import Session, Target
from services.delivery.client.terms import Source
from services.delivery.consumer import DeliveryConsumer
from services.delivery.courier import Courier
from services.delivery.first import Beginner
from services.delivery.hops import Hops
from services.delivery.interface import Sources, sources_for
from services.delivery.mx import Exchangers
from services.delivery.opener import Opener, Wanted
from services.delivery.orders import Orders
from services.delivery.outgoing.keyring import Keyring
from services.delivery.outgoing.signer import Signer
from services.delivery.prober import Prober
from services.delivery.route import Hop
from services.delivery.route_check import RouteChecker
from services.delivery.secrets import Secrets
from services.delivery.settings import DeliverySettings
from services.delivery.settle import Settlement
from services.delivery.tls.securing import Securing
from services.delivery.tls.sts import StsPolicies
from services.delivery.tls.sts_fetch import PolicyFetcher
from services.delivery.verify import PREFETCH, VerifyConsumer
from shared import tracing
from shared.broker.connect import Link
from shared.broker.consume import Consumer
from shared.broker.events import EventSender
from shared.broker.in_force import PolicyInForce
from shared.broker.publish import Publisher
from shared.broker.topology import Queue
from shared.dns.open import open_resolver
from shared.event import EventKind, Stage
from shared.gate import Gate
from shared.health import HealthServer
from shared.hop_state import HopStatus
from shared.ids import new_id
from shared.policy import DeliveryRules, Policy
from shared.rewriting.keys import keys_of
from shared.state.open import open_state
from shared.tls_seen import TlsSeen, seen_facts
from shared.wire_route_check import ROUTE_CHECK_S

_log = structlog.get_logger()
_DRAIN_S = 20.0
_GIVE_UP_EVERY_S = 0.5
_WATCH_EVERY_S = 2.0
_NO_CONSUMER_S = 30.0
_KEYS_S = 20.0


class DeliveryService:
    """All parts of one process."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._publishing = Link(settings.broker, "delivery-publish")
        self._consuming = Link(settings.broker, "delivery-consume")
        # Apart from the mail's, so that nothing about questions can stop mail.
        self._verifying = Link(settings.broker, "delivery-verify")
        publisher = Publisher(self._publishing)
        # What is to be known before the first message comes on the publishing link, so that consuming begins after it.
        self._in_force = PolicyInForce(self._publishing)
        self._orders = Orders(self._publishing)
        self._keyring = Keyring(self._publishing)
        self._events = EventSender(publisher, Stage.DELIVERY)
        self._resolver = open_resolver(settings.dns)
        self._state = open_state(settings.redis)
        self._exchangers = Exchangers(
            self._resolver,
            settings.hostname,
            settings.own_addresses,
            allow_private=settings.allow_private_mx,
            port=settings.mx_port,
            shuffle=random.shuffle,
        )
        self._sts = StsPolicies(
            self._resolver, self._state, PolicyFetcher(self._resolver, self._exchangers.may_connect)
        )
        self._own_addresses = OwnAddresses()
        self._hops = Hops(
            time.monotonic, settings.prefetch + settings.again_prefetch, self._state, on_change=self._tell_hop
        )
        self._hops.suspended = self._orders.suspended_hop
        self._courier = self._make_courier()
        handler = self._make_consumer(publisher)
        self._consumer = Consumer(self._consuming, Queue.DELIVERY.value, settings.prefetch, handler.handle)
        # What has waited on the ladder has places of its own, so that however much of it there is, new mail passes.
        self._again = Consumer(self._consuming, Queue.DELIVERY_AGAIN.value, settings.again_prefetch, handler.handle)
        checker = RouteChecker(settings.hostname, settings.data_dir, self._courier.targets, self._open_to_look)
        prober = Prober(self._courier, self._hops, self._sources_for)
        verify = VerifyConsumer(prober, checker, publisher, self._in_force)
        self._questions = Consumer(self._verifying, Queue.VERIFY.value, PREFETCH, verify.handle)
        self.health = HealthServer(
            settings.health,
            {
                "policy": lambda: self._in_force.is_known,
                "publishing": lambda: self._publishing.is_up,
                "consuming": lambda: self._is_consuming,
            },
            gate=Gate(self._in_force, self._state if settings.redis else None),
            policy_version=lambda: self._in_force.version,
        )

    def _make_courier(self) -> Courier:
        settings = self._settings
        opener = Opener(Securing(self._resolver, self._sts), Secrets(settings.secrets_dir), self._tell_tls)
        signer = Signer(self._keyring, self._resolver)
        return Courier(
            settings.hostname,
            settings.data_dir,
            resolver=self._resolver,
            exchangers=self._exchangers,
            opener=opener,
            signer=signer,
        )

    def _make_consumer(self, publisher: Publisher) -> DeliveryConsumer:
        settings = self._settings
        keys = keys_of(secret.get_secret_value() for secret in settings.rewriting_secrets)
        settlement = Settlement(publisher, self._events, settings.hostname)
        return DeliveryConsumer(
            courier=self._courier,
            hops=self._hops,
            settlement=settlement,
            beginner=Beginner(settlement, self._events, keys, settings.hostname, time.time),
            sources=self._sources_for,
            orders=self._orders,
            events=self._events,
            in_force=self._in_force,
            memory_bytes=settings.memory_bytes,
        )

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until `stop` is set; return the process's exit code."""
        tracing.start(Stage.DELIVERY, self._settings.tracing)
        # What is there by now stays: without it, each full collection would hold the event loop for up to 90 ms.
        gc.freeze()
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

    def _sources_for(self, policy: Policy, sender: str, rules: DeliveryRules, message_id: str) -> Sources:
        default = Source(self._settings.hostname, self._settings.source_address)
        return sources_for(policy, sender, rules, message_id, is_ours=self._own_addresses, default=default)

    async def _open_to_look(self, hop: Hop, target: Target, rules: DeliveryRules) -> Session:
        sources = self._sources_for(self._in_force.policy, "", rules, hop.key)
        deadline = asyncio.get_running_loop().time() + ROUTE_CHECK_S
        return await self._courier.open(target, Wanted(rules, sources), deadline)

    def _tell_hop(self, hop: str, status: HopStatus, cause: str, until: float | None) -> None:
        self._events.tell(new_id(), EventKind.HOP, hop=hop, state=status.value, cause=cause[:500], until=until)

    def _tell_tls(self, seen: TlsSeen) -> None:
        if self._in_force.policy.tls_reports.enabled:
            self._events.tell(new_id(), EventKind.TLS_SEEN, **seen_facts(seen))

    @property
    def _is_consuming(self) -> bool:
        return self._consumer.is_consuming and self._again.is_consuming

    async def _consume_once_ready(self) -> None:
        await self._in_force.wait_known()
        await self._orders.wait_known()
        await self._keyring.wait_read(_KEYS_S)
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
        await self._sts.close()
        await self._resolver.close()
        await self.health.close()
        await self._state.close()
        self._courier.close()
        await tracing.stop()
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
