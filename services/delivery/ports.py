"""What delivery needs of `shared.broker.consume`, as a small port (PURE)."""

from collections.abc import Mapping
from typing import Protocol


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
