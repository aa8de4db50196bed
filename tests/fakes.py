"""Real small classes in the place of the broker, for tests of one stage alone."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.broker.publish import PublishError
from shared.broker.topology import Exchange
from shared.envelope import Envelope
from shared.event import EventKind
from shared.policy import Policy
from shared.wire import ReplyTo, Said, decode_said, read_envelope, read_reply_to


@dataclass(frozen=True, slots=True)
class Published:
    """What was handed to the broker."""

    exchange: str
    key: str
    body: bytes
    headers: Mapping[str, str | int]
    message_type: str
    message_id: str | None
    persistent: bool

    @property
    def envelope(self) -> Envelope:
        return read_envelope(self.message_type, self.headers)

    @property
    def reply_to(self) -> ReplyTo:
        reply_to = read_reply_to(self.headers)
        assert reply_to is not None
        return reply_to


class FakePublisher:
    """A broker that confirms at once, or fails, or waits until it is let go."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.error: PublishError | None = None
        self.gate: asyncio.Event | None = None
        self.on_publish: Callable[[Published], None] | None = None
        self.largest_at_once = 0
        self._at_once = 0
        self._changed = asyncio.Event()

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
        deadline_s: float = 10.0,
    ) -> None:
        published = Published(exchange, key, bytes(body), headers or {}, message_type, message_id, persistent)
        self._at_once += 1
        self.largest_at_once = max(self.largest_at_once, self._at_once)
        try:
            self.published.append(published)
            self._changed.set()
            if self.on_publish is not None:
                self.on_publish(published)
            if self.gate is not None and exchange == Exchange.CONTENT:
                await self.gate.wait()
            if self.error is not None and exchange == Exchange.CONTENT:
                raise self.error
        finally:
            self._at_once -= 1

    async def send(self, exchange: str, key: str, body: bytes, *, message_type: str, deadline_s: float) -> None:
        self.published.append(Published(exchange, key, body, {}, message_type, None, persistent=False))
        self._changed.set()

    @property
    def mails(self) -> list[Published]:
        return [published for published in self.published if published.exchange == Exchange.CONTENT]

    @property
    def said(self) -> list[tuple[str, Said]]:
        return [(one.key, decode_said(one.body)) for one in self.published if one.exchange == Exchange.SAID]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something published makes the condition true."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@dataclass
class FakeEvents:
    """Keeps the events."""

    told: list[tuple[str, EventKind, dict[str, object]]] = field(default_factory=list)

    def tell(self, message_id: str, kind: EventKind, /, **facts: object) -> None:
        self.told.append((message_id, kind, facts))

    def of(self, message_id: str) -> list[EventKind]:
        return [kind for known, kind, _ in self.told if known == message_id]


@dataclass
class FixedPolicy:
    """A policy in force that a test may exchange."""

    policy: Policy
