"""Parts of the delivery stage with a broker that is only noted down, for tests against real next hops."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.delivery.client.terms import Source
from services.delivery.consumer import DeliveryConsumer
from services.delivery.courier import Courier
from services.delivery.first import Beginner
from services.delivery.hops import Hops
from services.delivery.interface import Sources, sources_for
from services.delivery.mx import Exchangers
from services.delivery.opener import Opener
from services.delivery.outgoing.keyring import Keys
from services.delivery.outgoing.signer import Signer
from services.delivery.ruling import OrderBook
from services.delivery.secrets import Secrets
from services.delivery.settle import Settlement
from services.delivery.tls.securing import Securing
from services.delivery.tls.sts import StsPolicies
from services.delivery.tls.sts_fetch import PolicyFetcher
from shared.broker.publish import PublishError, PublishFailure
from shared.dns.reach import is_of_this_machine
from shared.dns.resolver import CachingResolver
from shared.envelope import Client, Direction, Envelope, Proof, Recipient
from shared.event import EventKind
from shared.ids import new_id
from shared.policy import DeliveryRules, Policy, parse_policy
from shared.rewriting.keys import RewritingKeys
from shared.state.memory import MemoryState
from shared.tls_seen import TlsSeen
from shared.wire import MAIL_TYPE, mail_headers, read_envelope

OUR_NAME = "gate.example"
MESSAGE = b"From: a@client.example\r\nTo: b@example.org\r\nSubject: hello\r\n\r\nHello,\r\n.dot\r\n"


def envelope_for(*recipients: str, **changes: object) -> Envelope:
    """Return an envelope as edge would make it, from a proved sender."""
    values: dict[str, object] = {
        "id": new_id(),
        "received_at": time.time(),
        "listener": "mx",
        "direction": Direction.INBOUND,
        "client": Client("192.0.2.9", 4711, "client.example"),
        "sender": "a@client.example",
        "recipients": tuple(Recipient(address) for address in recipients or ("b@example.org",)),
        "size_bytes": len(MESSAGE),
        "proved": Proof.SPF,
    }
    return Envelope(**(values | changes))  # type: ignore[arg-type]


@dataclass
class Published:
    """One message that was published."""

    exchange: str
    key: str
    body: bytes
    headers: Mapping[str, str | int]
    message_type: str
    message_id: str | None

    @property
    def envelope(self) -> Envelope:
        return read_envelope(self.message_type, self.headers)


@dataclass
class FakePublisher:
    """Notes what is published. failures: how many publishes fail first."""

    published: list[Published] = field(default_factory=list)
    failures: int = 0

    async def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        *,
        headers: Mapping[str, str | int] | None = None,
        message_type: str = "",
        message_id: str | None = None,
    ) -> None:
        if self.failures:
            self.failures -= 1
            raise PublishError(PublishFailure.UNAVAILABLE, "the test says so")
        self.published.append(Published(exchange, key, body, headers or {}, message_type, message_id))

    def to(self, exchange: str) -> list[Published]:
        return [message for message in self.published if message.exchange == exchange]


@dataclass
class FakeEvents:
    """Notes what is told."""

    told: list[tuple[str, EventKind, dict[str, object]]] = field(default_factory=list)

    def tell(self, message_id: str, kind: EventKind, /, **facts: object) -> None:
        self.told.append((message_id, kind, facts))

    def of(self, kind: EventKind) -> list[dict[str, object]]:
        return [facts for _, told, facts in self.told if told is kind]


@dataclass
class FakeDelivery:
    """A message as the queue delivers it."""

    body: bytes
    headers: Mapping[str, object]
    message_type: str | None = MAIL_TYPE
    message_id: str | None = None
    redelivered: bool = False
    stale: bool = False
    acked: bool = False

    async def ack(self) -> None:
        self.acked = True


def delivery_of(envelope: Envelope, message: bytes = MESSAGE) -> FakeDelivery:
    """Return a message from the queue."""
    return FakeDelivery(message, mail_headers(envelope), message_id=envelope.id)


@dataclass
class InForce:
    """The policy in force."""

    policy: Policy
    version: int = 1


class Stage:
    """The stage from queue to hop. policy: a TOML document. secrets: where they lie, if not in the folder itself."""

    def __init__(
        self,
        policy: str,
        folder: Path,
        *,
        zone_files: tuple[Path, ...] = (),
        mx_port: int = 25,
        secrets: Path | None = None,
    ) -> None:
        self.publisher = FakePublisher()
        self.events = FakeEvents()
        self.resolver = CachingResolver([], zone_files)
        exchangers = Exchangers(self.resolver, OUR_NAME, allow_private=True, port=mx_port)
        self.state = state = MemoryState()
        self.sts = StsPolicies(self.resolver, state, PolicyFetcher(self.resolver, exchangers.may_connect))
        self.seen: list[TlsSeen] = []
        self.secrets = Secrets(secrets or folder)
        opener = Opener(Securing(self.resolver, self.sts), self.secrets, self.seen.append)
        self.keys = Keys()
        self.courier = Courier(
            OUR_NAME,
            folder,
            resolver=self.resolver,
            exchangers=exchangers,
            opener=opener,
            signer=Signer(self.keys, self.resolver),
        )
        self.hops = Hops(time.monotonic, 50, state)
        self.orders = OrderBook()
        self.in_force = InForce(parse_policy(policy))
        settlement = Settlement(self.publisher, self.events, OUR_NAME)
        self.consumer = DeliveryConsumer(
            courier=self.courier,
            hops=self.hops,
            settlement=settlement,
            beginner=Beginner(settlement, self.events, RewritingKeys((b"a secret of tests",)), OUR_NAME, time.time),
            sources=self.sources,
            orders=self.orders,
            events=self.events,
            in_force=self.in_force,
            memory_bytes=1_000_000,
        )

    def sources(self, policy: Policy, sender: str, rules: DeliveryRules, message_id: str) -> Sources:
        """Return whence messages go out."""
        return sources_for(policy, sender, rules, message_id, is_ours=is_of_this_machine, default=Source(OUR_NAME))

    async def take(self, envelope: Envelope, message: bytes = MESSAGE, *, redelivered: bool = False) -> FakeDelivery:
        """Handle one message; it must be acknowledged."""
        delivery = delivery_of(envelope, message)
        delivery.redelivered = redelivered
        await self.consumer.handle(delivery)
        assert delivery.acked
        return delivery

    async def close(self) -> None:
        self.hops.close()
        self.courier.close()
        await self.sts.close()
        await self.resolver.close()
        await asyncio.sleep(0)


def route_policy(route: str, domain: str = "example.org", more: str = "") -> str:
    """Return a policy with one domain of ours."""
    return f'{more}\n[domains."{domain}"]\nroute = "{route}"\nrecipients = "any"\n'
