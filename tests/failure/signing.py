"""Two delivery processes that sign, the zone with their keys, and a server that keeps all it gets (I/O: SMTP, DNS, AMQP).

Owns: `KeyZone`, which notes what DNS held when; `Keeper`, which notes when each message came, and from whom; `Process`, a
delivery process that is stopped, killed and started; `SteadyMail`, which is handed over all the time, and what the
events tell of it.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from aiosmtpd.smtp import SMTP

from infra.local.ports import free_ports
from shared.broker.connect import Link, open_connection
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key, Queue
from shared.dkim_keys import zone_line
from shared.envelope import Direction, Proof
from shared.event import Event, EventKind, decode_events
from shared.policy_entry import PolicyEntry, encode_policy
from shared.settings import FILE_VARIABLE
from shared.wire import MAIL_TYPE, mail_headers
from tests.dnsserver import DnsServer
from tests.integration.delivery.parts import envelope_for, route_policy
from tests.rabbit import Rabbit

DOMAIN = "example.org"
_ROOT = Path(__file__).parents[2]
_WITHIN_S = 60.0
_POLL_S = 0.1
_PACE_S = 0.05
_SELECTOR = re.compile(rb"^DKIM-Signature:(?:[^\r]|\r\n[ \t])*?\bs=([^;\s]+)", re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^Message-ID: <([^@]+)@", re.MULTILINE)


class KeyZone:
    """The domain's zone: at the server that the console asks, and at the one that delivery asks, which may be behind.

    A key is published when both have it: those who verify may ask either.
    """

    def __init__(self, console: DnsServer, delivery: DnsServer) -> None:
        self._servers = {"console": console, "delivery": delivery}
        self._held: dict[str, dict[str, str]] = {"console": {}, "delivery": {}}
        self._journal: list[tuple[float, dict[str, str]]] = [(0.0, {})]
        for server in self._servers:
            self._write(server)

    def publish(self, keys: Iterable[Mapping[str, Any]], *, only_at: str = "") -> None:
        """Add the records of keys, as the command shows them."""
        added = {key["name"]: key["record"] for key in keys}
        for server in [only_at] if only_at else self._servers:
            self._held[server] |= added
            self._write(server)
        self._note()

    def remove(self, keys: Iterable[Mapping[str, Any]]) -> None:
        """Take the records of keys out."""
        for key in keys:
            for held in self._held.values():
                held.pop(key["name"], None)
        # Noted first: what comes from now on is late.
        self._note()
        for server in self._servers:
            self._write(server)

    def at(self, when: float) -> dict[str, str]:
        """Return what was published at a time, by name."""
        return next(records for since, records in reversed(self._journal) if since <= when)

    @property
    def ever(self) -> dict[str, str]:
        """All that was ever published, by name."""
        return {name: record for _, records in self._journal for name, record in records.items()}

    def _note(self) -> None:
        both = self._held["console"].items() & self._held["delivery"].items()
        self._journal.append((time.time(), dict(both)))

    def _write(self, server: str) -> None:
        # What there is may be remembered for 5 s, and what there is not, too.
        head = f"$ORIGIN {DOMAIN}.\n@ 5 IN SOA ns.{DOMAIN}. admin.{DOMAIN}. 1 3600 600 86400 5\n"
        lines = [zone_line(name, record, ttl_s=5) for name, record in self._held[server].items()]
        self._servers[server].replace(head + "\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came. at: Unix seconds. process: who brought it, by the name that it says."""

    id: str
    at: float
    process: str
    message: bytes
    selectors: tuple[str, ...]


class Keeper:
    """The next hop."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.port = 0

    async def handle_DATA(self, _server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Keep a message."""
        message: bytes = envelope.original_content
        found = _MESSAGE_ID.search(message)
        assert found is not None
        selectors = tuple(selector.decode() for selector in _SELECTOR.findall(message))
        self.arrivals.append(Arrival(found[1].decode(), time.time(), session.host_name, message, selectors))
        return "250 2.0.0 kept"

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Keeper"]:
        """Take mail for the length of a `with`."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, hostname="hop.example", loop=loop), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self


class Process:
    """One `python -m services.delivery`. name: of its host."""

    def __init__(self, name: str, folder: Path, rabbit: Rabbit, nameserver: str) -> None:
        self.name = name
        (self._health_port,) = free_ports(1)
        self._log = folder / f"{name}.log"
        self._file = folder / f"{name}.toml"
        self._process: subprocess.Popen[bytes] | None = None
        broker = rabbit.settings("delivery")
        self._file.touch(mode=0o600)
        self._file.write_text(
            f'hostname = "{name}"\ndata_dir = "{folder}"\n[broker]\nport = {broker.port}\nuser = "delivery"\n'
            f'password = "{broker.password.get_secret_value()}"\n[health]\nport = {self._health_port}\n'
            f'[dns]\nnameservers = ["{nameserver}"]\ntimeout_s = 1\n'
        )

    async def start(self) -> None:
        """Start it, and wait until it takes mail."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.delivery"],
                cwd=_ROOT,
                env=os.environ | {FILE_VARIABLE: str(self._file)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(_WITHIN_S):
            while not await self._is_ready():
                assert self._process.poll() is None, self._log.read_text()[-3000:]
                await asyncio.sleep(_POLL_S)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal, and wait until it has ended."""
        if self._process is not None:
            self._process.send_signal(number)
            await asyncio.to_thread(self._process.wait, _WITHIN_S)
            self._process = None

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._health_port)
        except OSError:
            return False
        with contextlib.closing(writer):
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return b" 200 " in await reader.readline()


class SteadyMail:
    """Mail of the domain's users, handed over to delivery all the time, and what delivery tells of its attempts."""

    def __init__(self, rabbit: Rabbit, keeper: Keeper) -> None:
        self.sent: list[str] = []
        self.attempts: dict[str, list[Event]] = {}
        self.untold: set[str] = set()
        self._rabbit = rabbit
        self._keeper = keeper
        self._links = {user: Link(rabbit.settings(user), f"test-{user}") for user in ("content", "console")}
        self._publishers = {user: Publisher(link) for user, link in self._links.items()}

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Send for the length of a `with`, and then wait until all has come, and is told of."""
        async with contextlib.AsyncExitStack() as stack:
            for link in self._links.values():
                link.start()
                stack.push_async_callback(link.close)
            retry = "[retry]\nsteps_s = [5]\nconnection_steps_s = [5]\n"
            policy = route_policy(f"smtp://127.0.0.1:{self._keeper.port}", "example.net", retry)
            entry = encode_policy(PolicyEntry(1, "test", "test", time.time(), policy))
            await self._publishers["console"].publish(Exchange.POLICY.value, Key.POLICY.value, entry)
            events = await stack.enter_async_context(await open_connection(self._rabbit.settings("console"), "test"))
            queue = await (await events.channel()).get_queue(Queue.EVENTS.value, ensure=False)
            await queue.consume(self._on_events, no_ack=True)
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send())
                yield
                sending.cancel()
            await self.until(lambda: set(self.sent) <= {one.id for one in self._keeper.arrivals})
            await self.until(lambda: all(self.last_attempt(one) for one in self.sent if one not in self.untold))

    def last_attempt(self, message_id: str) -> Mapping[str, Any] | None:
        """Return the facts of the attempt by which a message was delivered."""
        for event in reversed(self.attempts.get(message_id, [])):
            facts: Mapping[str, Any] = event.facts
            if all(outcome["status"] == "delivered" for outcome in facts["outcomes"]):
                return facts
        return None

    def may_be_untold(self, process: str, for_s: float = 5.0) -> None:
        """Note that a process was killed just now: what it was about to tell of its last attempts is lost with it."""
        since = time.time() - for_s
        self.untold |= {one.id for one in self._keeper.arrivals if one.process == process and one.at >= since}

    async def comes(self, holds: Callable[[Arrival], bool], more: int = 15) -> None:
        """Wait until so many more messages have come of which something holds."""
        seen = len(self._keeper.arrivals)
        await self.until(lambda: sum(map(holds, self._keeper.arrivals[seen:])) >= more)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                while not holds():
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            last = [(one.process, one.selectors) for one in self._keeper.arrivals[-10:]]
            raise AssertionError(f"{len(self._keeper.arrivals)} of {len(self.sent)} came, at last {last}") from None

    async def _send(self) -> None:
        while True:
            sender = f"joe@{DOMAIN}"
            envelope = envelope_for(
                "amy@example.net",
                sender=sender,
                direction=Direction.OUTBOUND,
                proved=Proof.LOGIN,
                listener="submission",
            )
            message = (
                f"From: Joe <{sender}>\r\nTo: amy@example.net\r\nMessage-ID: <{envelope.id}@{DOMAIN}>\r\n"
                f"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nSubject: {len(self.sent)}\r\n\r\nHello Amy,\r\n\r\nJoe\r\n"
            ).encode()
            await self._publishers["content"].publish(
                Exchange.DELIVERY.value,
                Key.DELIVERY.value,
                message,
                headers=mail_headers(envelope),
                message_type=MAIL_TYPE,
                message_id=envelope.id,
            )
            self.sent.append(envelope.id)
            await asyncio.sleep(_PACE_S)

    async def _on_events(self, message: AbstractIncomingMessage) -> None:
        for event in decode_events(message.body):
            if event.kind is EventKind.ATTEMPT:
                self.attempts.setdefault(event.id, []).append(event)
