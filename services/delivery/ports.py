"""What delivery needs of `shared.broker.consume`, as a small port (PURE)."""

from collections.abc import Mapping
from typing import Protocol

from services.delivery.interface import Sources
from services.delivery.ruling import Ruling
from shared.envelope import Envelope
from shared.policy import DeliveryRules, Policy


class Delivered(Protocol):
    """A message from the queue."""

    @property
    def body(self) -> bytes:
        """The message."""

    @property
    def headers(self) -> Mapping[str, object]:
        """The AMQP headers."""

    @property
    def message_type(self) -> str | None:
        """The AMQP type."""

    @property
    def message_id(self) -> str | None:
        """The AMQP message id."""

    @property
    def redelivered(self) -> bool:
        """Whether it was delivered before and not acknowledged."""

    @property
    def stale(self) -> bool:
        """Whether its channel is gone, so that it comes again."""

    async def ack(self) -> None:
        """Say that it is done."""


class AnswerPublisher(Protocol):
    """Publishing without a confirm what is asked for again if it gets lost. Raises PublishError."""

    async def send(self, exchange: str, key: str, body: bytes, *, message_type: str, deadline_s: float) -> None:
        """Send it."""


class OrdersPort(Protocol):
    """The orders of administrators in force."""

    def ruling(self, envelope: Envelope, hop: str, now: float) -> Ruling:
        """Return what they say of a message. hop: the key of its first next hop by the policy. now: Unix seconds."""


class SourcesPort(Protocol):
    """Whence messages go out."""

    def __call__(self, policy: Policy, sender: str, rules: DeliveryRules, message_id: str) -> Sources:
        """Return who we are for a message. sender: of its envelope, empty for none. rules: of its hop."""
