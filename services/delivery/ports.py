"""What delivery needs of the broker, as small ports (PURE); `shared.broker` has the real ones."""

from collections.abc import Mapping
from typing import Protocol

from shared.event import EventKind
from shared.policy import Policy


class Publishes(Protocol):
    """Publishing that returns once the message is safe. Raises PublishError."""

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
        """Publish and wait for the confirm."""


class Tells(Protocol):
    """Telling the recorder what happened, without waiting."""

    def tell(self, message_id: str, kind: EventKind, /, **facts: object) -> None:
        """Note a fact."""


class HoldsPolicy(Protocol):
    """The policy in force."""

    @property
    def policy(self) -> Policy:
        """Return it. Raises LookupError while none is known."""


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
