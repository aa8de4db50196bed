"""The edge as a process: wires its parts, and nothing else.

On failure: ends with SettingsError or OSError where it cannot start; exits 1 where its reply queue has been dead for so
long that only a fresh start can help (`_STUCK_S`). SIGTERM and SIGINT drain: no new connections, what is under way is
finished, exit 0. SIGHUP reads the certificates again.
"""

import asyncio
import hashlib
import secrets
import signal
from collections.abc import Callable

import structlog
from aio_pika.abc import AbstractConnection

from services.edge import metrics
from services.edge.auth.accounts import Accounts
from services.edge.auth.authenticator import Authenticator
from services.edge.auth.kerberos import Kerberos
from services.edge.defences import Defences
from services.edge.directory import Directory
from services.edge.handler import EdgeHandler
from services.edge.handover import Handover
from services.edge.heartbeats import Heartbeats
from services.edge.limits import ByteBudget, Sessions
from services.edge.listeners import Listeners
from services.edge.settings import EdgeSettings
from services.edge.sockets import Sockets
from services.edge.verdicts import Verdicts
from shared import tracing
from shared.broker.connect import Link
from shared.broker.consume import ReplyQueue, StreamReader
from shared.broker.events import EventSender
from shared.broker.in_force import PolicyInForce
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Queue
from shared.dns.open import open_resolver
from shared.errors import SettingsError
from shared.event import Stage
from shared.gate import Gate
from shared.health import HealthServer
from shared.policy import Policy
from shared.rewriting.keys import keys_of
from shared.state.open import open_state

_log = structlog.get_logger()
_WATCH_S = 1.0
_STUCK_S = 30.0
_SAID_TIMEOUT_S = 5.0
_LEARN_TIMEOUT_S = 2.0


class Edge:
    """All parts of one edge process.

    on_ready: called each second with whether it is ready, instead of serving health itself (a parent does that).
    """

    def __init__(
        self, settings: EdgeSettings, sockets: Sockets, on_ready: Callable[[bool], None] | None = None
    ) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._on_ready = on_ready
        # Alarms of the broker hold publishers back: what is consumed has a connection of its own.
        self.publishing = Link(settings.broker, "edge-publish")
        self.consuming = Link(settings.broker, "edge-consume")
        publisher = Publisher(self.publishing)
        self._events = EventSender(publisher, Stage.EDGE)
        self._heartbeats = Heartbeats()
        self.verdicts = Verdicts(publisher, self._heartbeats)
        self._changed: asyncio.Queue[Policy] = asyncio.Queue()
        self._policy = PolicyInForce(self.consuming, self._changed.put_nowait)
        accounts = Accounts()
        StreamReader(self.consuming, Queue.ACCOUNTS.value, accounts.take)
        process_key = secrets.token_hex(8)
        self._replies = ReplyQueue(self.consuming, "edge", Exchange.VERDICT, process_key, self.verdicts.on_judgement)
        ReplyQueue(self.consuming, "edge", Exchange.HEARTBEAT, None, self.verdicts.on_heartbeat)
        self.consuming.on_up(self._listen_to_content)
        self.budget = ByteBudget(0)
        self.sessions = Sessions()
        self._directory = Directory(settings.ldap) if settings.ldap else None
        self.defences = self._open_defences(publisher, process_key)
        ReplyQueue(self.consuming, "edge", Exchange.VERIFIED, process_key, self.defences.verification.on_answer)
        loop_key = _loop_key(settings)
        self._authenticator = self._open_authenticator(accounts, loop_key)
        handler = EdgeHandler(
            hostname=settings.hostname.lower(),
            loop_key=loop_key,
            policy=self._policy,
            handover=Handover(
                process_key=process_key,
                policy=self._policy,
                publisher=publisher,
                events=self._events,
                verdicts=self.verdicts,
            ),
            defences=self.defences,
            authenticator=self._authenticator,
            budget=self.budget,
            broker_takes=self._broker_takes,
            keys=keys_of(secret.get_secret_value() for secret in settings.rewriting_secrets),
        )
        self.listeners = Listeners(settings.listeners, handler, self.sessions, sockets)
        gate = Gate(self._policy, self.defences.state)
        self.health = HealthServer(
            settings.health, self._conditions(), gate=gate, policy_version=lambda: self._policy.version
        )

    def _open_defences(self, publisher: Publisher, process_key: str) -> Defences:
        settings = self._settings
        return Defences(
            hostname=settings.hostname.lower(),
            policy=self._policy,
            events=self._events,
            publisher=publisher,
            process_key=process_key,
            resolver=open_resolver(settings.dns),
            state=open_state(settings.redis),
            directory=self._directory,
            country_database=settings.country_database,
        )

    def _open_authenticator(self, accounts: Accounts, secret: bytes) -> Authenticator:
        settings = self._settings
        return Authenticator(
            accounts,
            hostname=settings.hostname.lower(),
            secret=secret,
            directory=self._directory,
            kerberos=Kerberos(settings.kerberos, settings.hostname) if settings.kerberos else None,
            watch=self.defences.throttle,
        )

    async def _listen_to_content(self, _connection: AbstractConnection) -> None:
        self._heartbeats.listen(asyncio.get_running_loop().time())

    def _broker_takes(self) -> bool:
        return self.publishing.is_up and not self.publishing.is_blocked

    def _conditions(self) -> dict[str, Callable[[], bool]]:
        return {
            "broker": self._broker_takes,
            "consuming": lambda: self.consuming.is_up and self._replies.is_consuming,
            "policy": lambda: self._policy.is_known,
            "listening": lambda: self.listeners.is_listening and not self.sessions.draining,
        }

    async def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, self.request_stop)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.listeners.reload_certificates)
        await self.start()
        return await self.serve()

    @property
    def is_ready(self) -> bool:
        """Whether all conditions of `/readyz` hold."""
        return all(holds() for holds in self._conditions().values())

    def request_stop(self) -> None:
        """Have `serve` drain and return."""
        self._stop.set()

    async def serve(self) -> int:
        """Serve until `request_stop` or until it cannot go on; drain; return the exit code."""
        tasks = [asyncio.create_task(work) for work in (self._until_stop(), self._follow_policy(), self._watch())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        await self.stop()
        return max(task.result() for task in done)

    async def start(self) -> None:
        """Begin to connect, and serve health; the listeners open with the first policy."""
        tracing.start(Stage.EDGE, self._settings.tracing)
        if self._on_ready is None:
            await self.health.start()
        await self.defences.start()
        self._events.start()
        self.publishing.start()
        self.consuming.start()

    async def stop(self) -> None:
        """Drain: take nothing new, finish what is under way, tell what is to be told, disconnect."""
        _log.info("draining", sessions=len(self.sessions))
        self.listeners.close()
        self.verdicts.stop_waiting()
        if not await self.sessions.drain(self._settings.drain_timeout_s):
            _log.warning("sessions-cut-off", sessions=len(self.sessions))
        await self.verdicts.close(_SAID_TIMEOUT_S)
        await self.defences.close(_LEARN_TIMEOUT_S)
        await self._events.close()
        self._authenticator.close()
        if self._directory:
            self._directory.close()
        for link in (self.consuming, self.publishing):
            await link.close()
        await tracing.stop()
        await self.health.close()
        _log.info("stopped")

    async def _until_stop(self) -> int:
        await self._stop.wait()
        return 0

    async def _follow_policy(self) -> int:
        started = False
        while True:
            policy = await self._changed.get()
            self.budget.limit = policy.limits.in_flight_bytes
            self.defences.follow(policy)
            try:
                await self.listeners.follow(policy)
            except (OSError, SettingsError) as error:
                _log.error("listener-not-opened", cause=str(error))
                if not started:
                    return 1
            started = True

    async def _watch(self) -> int:
        """Renew a connection that does not consume, and give up where that does not help."""
        dead_s = 0.0
        while True:
            await asyncio.sleep(_WATCH_S)
            self._measure(asyncio.get_running_loop().time())
            self.listeners.look_at_certificates()
            if self._on_ready is not None:
                self._on_ready(self.is_ready)
            if not self.consuming.is_up:
                # The broker is away: the link goes on trying, and a fresh start would do no better.
                continue
            if self._replies.is_consuming:
                dead_s = 0.0
                continue
            dead_s += _WATCH_S
            if dead_s > _STUCK_S:
                _log.error("not-consuming", since_s=dead_s)
                return 1
            self.consuming.renew()

    def _measure(self, now: float) -> None:
        metrics.OPEN_SESSIONS.set(len(self.sessions))
        metrics.IN_FLIGHT_BYTES.set(self.budget.used)
        metrics.WAITING.set(len(self.verdicts.memory.waiting))
        metrics.REMEMBERED.set(self.verdicts.memory.remembered)
        metrics.CONTENT_ALIVE.set(self._heartbeats.alive(now))


def _loop_key(settings: EdgeSettings) -> bytes:
    if settings.loop_key is None:
        return secrets.token_bytes(32)
    return hashlib.sha256(settings.loop_key.get_secret_value().encode()).digest()
