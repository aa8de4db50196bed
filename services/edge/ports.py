"""What edge needs of `shared.broker.publish`, as a small port; a fake fulfils it in tests."""

from collections.abc import Mapping
from typing import Protocol


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
