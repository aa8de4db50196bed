"""One content worker, wired: links, consumers, checks, heartbeat (I/O).

On failure: a worker that is connected but has lost a consumer renews its link; SIGTERM drains and exits 0.
"""

import asyncio
import contextlib
import gc
import secrets
import time
from collections.abc import Callable

import structlog

from services.content.authenticity import Authenticator
from services.content.brake import Brake
from services.content.carry_out import CarryOut
from services.content.consumer import Books, MailConsumer, Parts
from services.content.conversation import Conversation
from services.content.engines.antivirus import open_antivirus
from services.content.engines.spam_engines import open_antispam
from services.content.examine import Engines, Examiner
from services.content.heartbeat import beat_for_ever
from services.content.inspector import Inspector
from services.content.lag import watch_lag
from services.content.settings import ContentSettings
from services.content.trial import TrialConsumer
from shared import tracing
from shared.broker.connect import Link
from shared.broker.consume import Consumer, ReplyQueue
from shared.broker.events import EventSender
from shared.broker.in_force import PolicyInForce
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Queue
from shared.dns.open import open_resolver
from shared.dns.patience import Patience
from shared.event import Stage
from shared.state.open import open_state

_log = structlog.get_logger()
# A large message may have 100 MB; a suspect one may kill its worker, and shall take no other along.
LARGE_PREFETCH = 2
SUSPECT_PREFETCH = 1
TRIAL_PREFETCH = 1
DRAIN_S = 20.0
_WATCH_S = 1.0
_CONSUMER_LOST_S = 15.0


class ContentWorker:
    """One process's share of the content stage. on_ready: called each second with whether it can judge."""

    def __init__(self, settings: ContentSettings, on_ready: Callable[[bool], None]) -> None:
        self._on_ready = on_ready
        self._tracing = settings.tracing
        self._publishing = Link(settings.broker, f"content-publish@{settings.hostname}")
        self._consuming = Link(settings.broker, f"content-consume@{settings.hostname}")
        publisher = self._publisher = Publisher(self._publishing)
        self._events = EventSender(publisher, Stage.CONTENT)
        # The policy comes on the publishing link, so that consuming need not begin before it is known.
        self._policy = PolicyInForce(self._publishing)
        said_key = secrets.token_hex(8)
        conversation = self._conversation = Conversation(publisher, said_key)
        ReplyQueue(self._consuming, "content", Exchange.SAID, said_key, conversation.on_said)
        self._resolver = open_resolver(settings.dns)
        self._state = open_state(settings.redis)
        self._antivirus = open_antivirus(settings.clamd, settings.icap)
        self._antispam = open_antispam(settings.antispam, settings.hostname)
        self._inspector = Inspector(settings.isolation)
        brake = Brake(self._state)
        # docs/adr/2-slow-dns.md: senders with slow DNS hold half of the places at most, and the others go on.
        slow = max(settings.prefetch // 2, 1)
        engines = Engines(
            antivirus=self._antivirus,
            antispam=self._antispam,
            inspector=self._inspector,
            authenticator=Authenticator(Patience(self._resolver, slow), settings.hostname),
            brake=brake,
        )
        examiner = Examiner(engines)
        parts = Parts(
            publisher=publisher,
            events=self._events,
            policy=self._policy,
            conversation=conversation,
            examiner=examiner,
            brake=brake,
            carry_out=CarryOut(publisher, self._events, settings.hostname),
        )
        prefetches = {
            Queue.CONTENT: settings.prefetch,
            Queue.CONTENT_LARGE: LARGE_PREFETCH,
            Queue.CONTENT_SUSPECT: SUSPECT_PREFETCH,
        }
        self._consumers = [
            Consumer(self._consuming, queue.value, prefetch, MailConsumer(parts, queue))
            for queue, prefetch in prefetches.items()
        ]
        # A link of its own: where a broker has no such queue yet, mail goes on all the same.
        self._trying = Link(settings.broker, f"content-trials@{settings.hostname}")
        trials = TrialConsumer(Publisher(self._trying), Books(self._policy), examiner)
        self._trials = Consumer(self._trying, Queue.TRIAL.value, TRIAL_PREFETCH, trials)
        self._lost_since: float | None = None

    @property
    def can_judge(self) -> bool:
        """Whether messages are taken and judged."""
        return (
            self._publishing.is_up
            and self._policy.is_known
            and all(consumer.is_consuming for consumer in self._consumers)
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain."""
        tracing.start(Stage.CONTENT, self._tracing)
        # What is there by now stays: without it, each full collection would hold the event loop for up to 80 ms.
        gc.freeze()
        self._publishing.start()
        self._events.start()
        await self._state.start()
        await self._inspector.start()
        tasks = [asyncio.create_task(self._start_consuming()), asyncio.create_task(self._watch())]
        tasks.append(asyncio.create_task(watch_lag()))
        tasks.append(
            asyncio.create_task(beat_for_ever(self._publisher, self._conversation.said_key, lambda: self.can_judge))
        )
        await stop.wait()
        for task in tasks:
            task.cancel()
        await self._drain()

    async def _start_consuming(self) -> None:
        # Without a policy nothing can be judged, so nothing is taken.
        await self._policy.wait_known()
        self._consuming.start()
        self._trying.start()

    async def _watch(self) -> None:
        while True:
            self._on_ready(self.can_judge)
            lost = self._consuming.is_up and any(not consumer.is_consuming for consumer in self._consumers)
            if not lost:
                self._lost_since = None
            elif self._lost_since is None:
                self._lost_since = time.monotonic()
            elif time.monotonic() - self._lost_since > _CONSUMER_LOST_S:
                _log.error("consumer-lost")
                self._lost_since = None
                self._consuming.renew()
            await asyncio.sleep(_WATCH_S)

    async def _drain(self) -> None:
        self._on_ready(False)
        await asyncio.gather(*(consumer.drain(DRAIN_S) for consumer in (*self._consumers, self._trials)))
        await self._events.close()
        for engine in (self._antivirus, self._antispam, self._inspector, self._state):
            if engine is not None:
                with contextlib.suppress(Exception):
                    await engine.close()
        await self._trying.close()
        await self._consuming.close()
        await self._publishing.close()
        await self._resolver.close()
        await tracing.stop()
