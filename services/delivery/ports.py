"""What delivery needs of the broker, as small ports (PURE); shared.broker has the real ones, tests/fakes.py the others."""

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
    ) -> None: ...


class Tells(Protocol):
    """Telling the recorder what happened, without waiting."""

    def tell(self, message_id: str, kind: EventKind, **facts: object) -> None: ...


class HoldsPolicy(Protocol):
    """The policy in force."""

    @property
    def policy(self) -> Policy: ...


class Delivered(Protocol):
    """A message from the queue."""

    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, object]: ...
    @property
    def message_type(self) -> str | None: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def stale(self) -> bool: ...
    async def ack(self) -> None: ...
    async def hand_back(self) -> None: ...
