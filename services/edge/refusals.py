"""What a refusal leaves behind: its id, its event, its count, and points against the client's address.

Output: the reply, which names the id by which the trace tells why.
"""

import time
from collections.abc import Callable

import structlog

from services.edge import metrics
from services.edge.decide.refusal import Refusal, RefusalReason
from services.edge.session import Session
from shared.broker.ports import EventsPort
from shared.event import EventKind
from shared.ids import new_id
from shared.reply import Reply

_log = structlog.get_logger()
_TEXT_LIMIT = 320
# A client that is turned away again within this time, for the same reason, is told the same id: a flood of connections
# must not become a flood of events and log lines. Each counts all the same.
_AGAIN_S = 10.0
_KEPT = 10_000
_FLOODS = frozenset(
    {
        RefusalReason.BANNED,
        RefusalReason.ACCESS_DENIED,
        RefusalReason.ACCESS_DEFERRED,
        RefusalReason.TOO_MANY_CONNECTIONS,
        RefusalReason.TOO_MANY_CONNECTIONS_OF_ADDRESS,
        RefusalReason.TOO_MANY_CONNECTIONS_OF_NETWORK,
        RefusalReason.RATE_EXCEEDED,
    }
)


class Refusals:
    """All refusals of this process. on_refusal: is told of each."""

    def __init__(
        self,
        events: EventsPort,
        on_refusal: Callable[[Session, RefusalReason], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._on_refusal = on_refusal
        self._clock = clock
        # The ids of those that may come in floods, oldest first: each with its end.
        self._told: dict[tuple[str, str, RefusalReason], tuple[str, float]] = {}

    def of_session(self, session: Session, refusal: Refusal) -> Reply:
        """Note that a session is refused or ended, and return the last reply."""
        self._count(session, refusal)
        if (told := self._told_lately(session, refusal)) is not None:
            return refusal.reply_with(told)
        refusal_id = new_id()
        reply = refusal.reply_with(refusal_id)
        self._note(session, refusal, refusal_id)
        self._events.tell(
            refusal_id,
            EventKind.SESSION_REFUSED,
            client=session.address,
            listener=session.listener,
            reply=str(reply),
            reason=refusal.reason.value,
        )
        _log.info("session-refused", id=refusal_id, client=session.address, reason=refusal.reason.value)
        return reply

    def of_command(
        self,
        session: Session,
        command: str,
        refusal: Refusal,
        *,
        refusal_id: str | None = None,
        sender: str = "",
        recipient: str = "",
        login: str | None = None,
    ) -> Reply:
        """Note that a command is refused, and return the reply with the id that tells why."""
        refusal_id = refusal_id or new_id()
        reply = refusal.reply_with(refusal_id)
        self._count(session, refusal)
        self._events.tell(
            refusal_id,
            EventKind.COMMAND_REFUSED,
            client=session.address,
            listener=session.listener,
            helo=session.host_name,
            command=command,
            sender=sender[:_TEXT_LIMIT],
            recipient=recipient[:_TEXT_LIMIT],
            reply=str(reply),
            reason=refusal.reason.value,
            login=login or session.login,
        )
        _log.info(
            "command-refused", id=refusal_id, client=session.address, command=command, reason=refusal.reason.value
        )
        return reply

    def _told_lately(self, session: Session, refusal: Refusal) -> str | None:
        """Return the id that this client was told for the same reason a moment ago."""
        told = self._told.get((session.address, session.listener, refusal.reason))
        return told[0] if told is not None and told[1] > self._clock() else None

    def _note(self, session: Session, refusal: Refusal, refusal_id: str) -> None:
        if refusal.reason not in _FLOODS:
            return
        key = (session.address, session.listener, refusal.reason)
        self._told.pop(key, None)
        if len(self._told) >= _KEPT:
            del self._told[next(iter(self._told))]
        self._told[key] = (refusal_id, self._clock() + _AGAIN_S)

    def _count(self, session: Session, refusal: Refusal) -> None:
        metrics.REFUSALS.labels(refusal.reason.value).inc()
        self._on_refusal(session, refusal.reason)
