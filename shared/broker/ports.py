"""What the stages need of the broker, as small ports (PURE); the modules beside this one fulfil them."""

from collections.abc import Mapping
from typing import Protocol

from shared.event import EventKind
from shared.policy import Policy


class MailPublisher(Protocol):
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


class EventsPort(Protocol):
    """The way to the recorder; never waits."""

    def tell(self, message_id: str, kind: EventKind, /, **facts: object) -> None:
        """Note a fact."""


class PolicyPort(Protocol):
    """The policy in force."""

    @property
    def policy(self) -> Policy:
        """The policy now. Raises LookupError while none is known."""


class VersionedPolicyPort(PolicyPort, Protocol):
    """The policy in force, and which it is. version: 0 for none."""

    version: int
