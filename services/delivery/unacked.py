"""Messages that this process is done with and the broker is not (PURE; the clock is passed in).

Owns: what was achieved for a message whose channel died, or whose follow-up could not be published, before it was
acknowledged. The broker brings it again, marked as redelivered; then only what is left is done, or nothing.
Bounds: the newest 10,000, for ten minutes. What is not remembered is handled as new: at least once, as ever.
"""

from collections.abc import Callable
from dataclasses import dataclass

from services.delivery.outcome import Attempt
from shared.envelope import Envelope

_LIMIT = 10_000
_KEPT_S = 600.0


@dataclass(frozen=True, slots=True)
class Achieved:
    """attempt: what it came to, its follow-up still to be published; None if all is done but the acknowledgement.

    envelope: of the message as it was attempted, its recipients expanded.
    """

    attempt: Attempt | None
    envelope: Envelope | None
    until: float


class Unacked:
    """Remembers by message id."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._achieved: dict[str, Achieved] = {}

    def remember(self, message_id: str, attempt: Attempt | None, envelope: Envelope | None = None) -> None:
        """Note what was achieved."""
        self._achieved[message_id] = Achieved(attempt, envelope, self._clock() + _KEPT_S)
        if len(self._achieved) > _LIMIT:
            del self._achieved[next(iter(self._achieved))]

    def recall(self, message_id: str, *, redelivered: bool) -> Achieved | None:
        """Return, once, what was achieved for a redelivered message.

        One that is not redelivered was published anew (a retry, a release from quarantine), so it is to be handled.
        """
        if not redelivered or message_id not in self._achieved:
            return None
        achieved = self._achieved.pop(message_id)
        return achieved if achieved.until >= self._clock() else None
