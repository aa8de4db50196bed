"""The whole delivery service between a real broker and real next hops, and what its events tell of each message.

    async with Line(rabbit, folder) as line:
        await line.apply(policy)
        envelope = await line.send("a@one.test", "b@two.test")
        await line.until(lambda: line.ends(envelope) == {"a@one.test": "delivered", "b@two.test": "failed"})

Servers that open files run in `public_folder()`, which their users can reach.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from aio_pika.abc import AbstractIncomingMessage

from infra.local.ports import free_ports, is_listening
from services.delivery.app import DeliveryService
from services.delivery.settings import DeliverySettings
from shared.broker.connect import Link, open_connection
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key, Queue
from shared.envelope import Envelope
from shared.event import Event, EventKind, decode_events
from shared.ids import new_id
from shared.order import Order, OrderKind, encode_order, parse_target
from shared.policy_entry import PolicyEntry, encode_policy
from shared.settings import HealthSettings
from shared.wire import MAIL_TYPE, mail_headers
from tests.integration.delivery.parts import MESSAGE, OUR_NAME, envelope_for
from tests.integration.delivery.waiting import wait_until
from tests.rabbit import Rabbit

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_WITHIN_S = 60.0


def needs(*programs: str) -> pytest.MarkDecorator:
    """Return the mark of tests that need servers, and root, which alone may start them."""
    missing = [name for name in programs if shutil.which(name, path=PATH) is None]
    return pytest.mark.skipif(bool(missing) or os.geteuid() != 0, reason=f"not installed, or not root: {missing}")


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """Make a folder that servers of all users can reach."""
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def running(*argv: str, until: Callable[[], bool]) -> Iterator[None]:
    """Run a server for the length of a `with`, begun once it serves."""
    process = subprocess.Popen(
        argv, env={"PATH": PATH}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(until)
        yield
    finally:
        process.terminate()
        process.wait(20)


class Sink:
    """Postfix's smtp-sink with failure switches, and later without, on the same port.

    lmtp: whether it speaks that. `seen` and `kept`: what reached the final dot while it failed, and since.
    """

    def __init__(self, folder: Path, port: int, *switches: str) -> None:
        self.port = port
        self.switches = switches
        self.lmtp = "-L" in switches
        self._folders = {True: folder / f"{self.port}-kept", False: folder / f"{self.port}-seen"}
        for one in self._folders.values():
            one.mkdir()
            shutil.chown(one, "nobody")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def route(self) -> str:
        """Its route in a policy."""
        return f"{'lmtp' if self.lmtp else 'smtp'}://127.0.0.1:{self.port}"

    @property
    def seen(self) -> list[str]:
        """The messages, with its own notes of their envelopes, that it read while it failed."""
        return self._read(well=False)

    @property
    def kept(self) -> list[str]:
        """Those that it read since it is well."""
        return self._read(well=True)

    def start(self, *, well: bool = False) -> None:
        """Start it, with its failures or without."""
        how = (["-L"] if self.lmtp else []) if well else list(self.switches)
        where = str(self._folders[well] / "m.")
        argv = ["smtp-sink", "-u", "nobody", "-d", where, *how, f"127.0.0.1:{self.port}", "100"]
        self._process = subprocess.Popen(argv, env={"PATH": PATH}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def heal(self) -> None:
        """Start it again without its failures."""
        self.stop()
        self.start(well=True)

    def _read(self, *, well: bool) -> list[str]:
        # It opens the file at MAIL; what came as a whole ends with an empty line.
        texts = [path.read_text("utf-8", "replace") for path in self._folders[well].iterdir()]
        return [text for text in texts if text.endswith("\n\n")]


@contextlib.contextmanager
def sinks_of(*each: Sequence[str]) -> Iterator[list[Sink]]:
    """Run sinks, each with its switches."""
    with public_folder() as folder, contextlib.ExitStack() as stack:
        made = [Sink(folder, port, *one) for port, one in zip(free_ports(len(each)), each, strict=True)]
        for one in made:
            stack.callback(one.stop)
            one.start()
        wait_until(lambda: all(is_listening(one.port) for one in made))
        yield made


class Line:
    """The service, with those who publish to it and one who reads its events. settings: changes of its settings."""

    def __init__(self, rabbit: Rabbit, folder: Path, **settings: object) -> None:
        self.events: list[Event] = []
        self._rabbit = rabbit
        values = {
            "hostname": OUR_NAME,
            "broker": rabbit.settings("delivery"),
            "health": HealthSettings(port=0),
            "data_dir": folder,
            "secrets_dir": folder,
            "rewriting_secrets": ["a secret of tests that is long enough"],
        }
        self.service = DeliveryService(DeliverySettings(**(values | settings)))
        self._links = {user: Link(rabbit.settings(user), f"test-{user}") for user in ("content", "console")}
        self._publishers = {user: Publisher(link) for user, link in self._links.items()}
        self._changed = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()
        self._version = 0

    async def __aenter__(self) -> "Line":
        async with contextlib.AsyncExitStack() as stack:
            for link in self._links.values():
                link.start()
                stack.push_async_callback(link.close)
            await stack.enter_async_context(self._reading())
            await stack.enter_async_context(self._serving())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def apply(self, policy: str) -> None:
        """Put a policy in force; the first one lets the service begin."""
        self._version += 1
        entry = encode_policy(PolicyEntry(self._version, "test", "test", time.time(), policy))
        await self._publishers["console"].publish(Exchange.POLICY.value, Key.POLICY.value, entry)

    async def send(self, *recipients: str, message: bytes = MESSAGE, key: Key = Key.DELIVERY, **changes: object) -> str:
        """Hand a message over as content does; return its id. changes: of its envelope."""
        envelope = envelope_for(*recipients, size_bytes=len(message), **changes)
        await self.hand_over(envelope, message, key)
        return envelope.id

    async def hand_over(self, envelope: Envelope, message: bytes, key: Key = Key.DELIVERY) -> None:
        """Publish a message. key: that of what has waited, else of what is new."""
        headers = mail_headers(envelope)
        await self._publishers["content"].publish(
            Exchange.DELIVERY.value,
            key.value,
            message,
            headers=headers,
            message_type=MAIL_TYPE,
            message_id=envelope.id,
        )

    async def order(self, kind: OrderKind, target: str, to: str = "", why: str = "a test") -> None:
        """Give an order, as `gatepost queue` does."""
        order = Order(new_id(), time.time(), kind, parse_target(target), "anna", why, to)
        await self._publishers["console"].publish(
            Exchange.ORDERS.value, Key.ORDERS.value, encode_order(order), message_type="t"
        )

    def told(self, message_id: str, *kinds: EventKind) -> list[Event]:
        """Return what was told of a message and of those that it was split into, of these kinds."""
        ids = {message_id}
        for event in self.events:
            if event.id in ids and event.kind is EventKind.SPLIT:
                into = event.facts["into"]
                assert isinstance(into, list)
                ids |= {str(part["id"]) for part in into if isinstance(part, dict)}
        return [event for event in self.events if event.id in ids and (not kinds or event.kind in kinds)]

    def ends(self, message_id: str) -> dict[str, str]:
        """Return how it ended for each recipient for whom it has."""
        ended: dict[str, str] = {}
        for event in self.told(message_id, EventKind.DELIVERED, EventKind.FAILED):
            recipients = event.facts["recipients"]
            assert isinstance(recipients, list)
            for recipient in recipients:
                assert str(recipient) not in ended, f"{recipient} ended twice"
                ended[str(recipient)] = event.kind.value
        return ended

    def outcomes(self, message_id: str, attempt: int = 0) -> dict[str, tuple[str, str]]:
        """Return status and reply by recipient of one attempt, the first unless told otherwise; empty if there is none."""
        attempts = self.told(message_id, EventKind.ATTEMPT)
        if len(attempts) <= attempt:
            return {}
        outcomes = attempts[attempt].facts["outcomes"]
        assert isinstance(outcomes, list)
        return {
            str(one["recipient"]): (str(one["status"]), str(one["reply"])) for one in outcomes if isinstance(one, dict)
        }

    async def until(self, holds: Callable[[], bool], deadline_s: float = _WITHIN_S) -> None:
        """Wait until something holds; looked at whenever an event comes, and now and then."""
        try:
            async with asyncio.timeout(deadline_s):
                while not holds():
                    self._changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), 0.2)
        except TimeoutError:
            told = "\n".join(f"{event.id} {event.kind.value} {event.facts}" for event in self.events[-60:])
            raise AssertionError(f"not within {deadline_s:g} s; the last events:\n{told}") from None

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.service.run(stop))
        try:
            yield
        finally:
            stop.set()
            assert await task == 0

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        connection = await open_connection(self._rabbit.settings("console"), "test-reader")
        async with connection:
            source = await (await connection.channel()).get_queue(Queue.EVENTS.value, ensure=False)
            await source.consume(self._take, no_ack=False)
            yield

    async def _take(self, message: AbstractIncomingMessage) -> None:
        await message.ack()
        self.events += decode_events(message.body)
        self._changed.set()


def domain(name: str, route: str, more: str = "") -> str:
    """Return the policy's table of a domain with one route."""
    return f'[domains."{name}"]\nroute = "{route}"\nrecipients = "any"\n{more}\n'


def quick_retries() -> str:
    """Return the policy's table by which all that is put off comes again after five seconds."""
    names = ("steps_s", "connection_steps_s", "greylisted_steps_s", "policy_steps_s")
    return "[retry]\n" + "".join(f"{name} = [5]\n" for name in names)
