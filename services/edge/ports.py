"""What the edge needs of the outside, as small protocols; `shared.broker` fulfils them, and fakes do in tests."""

from collections.abc import Mapping
from typing import Protocol

from shared.event import EventKind
from shared.policy import Policy


class PublisherPort(Protocol):
    """Publishing with a confirm; raises `PublishError`."""

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
        """Return when the message is safe."""

    async def send(self, exchange: str, key: str, body: bytes, *, message_type: str, deadline_s: float) -> None:
        """Send without a confirm what is asked for again if it gets lost."""


class EventsPort(Protocol):
    """The way to the recorder; never waits."""

    def tell(self, message_id: str, kind: EventKind, /, **facts: object) -> None:
        """Note a fact."""


class PolicyPort(Protocol):
    """The policy in force."""

    @property
    def policy(self) -> Policy:
        """The policy now."""
