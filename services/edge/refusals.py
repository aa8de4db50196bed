"""What a refusal leaves behind: its id, its event, its count, and points against the client's address.

Output: the reply, which names the id by which the trace tells why.
"""

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


class Refusals:
    """All refusals of this process. on_refusal: is told of each."""

    def __init__(self, events: EventsPort, on_refusal: Callable[[Session, RefusalReason], None]) -> None:
        self._events = events
        self._on_refusal = on_refusal

    def of_session(self, session: Session, refusal: Refusal) -> Reply:
        """Note that a session is refused or ended, and return the last reply."""
        refusal_id = new_id()
        reply = refusal.reply_with(refusal_id)
        self._count(session, refusal)
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

    def _count(self, session: Session, refusal: Refusal) -> None:
        metrics.REFUSALS.labels(refusal.reason.value).inc()
        self._on_refusal(session, refusal.reason)
