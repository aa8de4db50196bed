"""Whether a message goes round in circles (PURE).

Standards: RFC 5321 §6.3: count Received fields; and our own marks (services/edge/trace.py): the same id with the same
recipient.
"""

from collections.abc import Iterable

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.header import HeaderFacts
from services.edge.trace import mark

_HOPS = refuse(RefusalReason.HOP_COUNT, 554, "5.4.6", "Routing loop detected: too many Received fields")
_AGAIN = refuse(RefusalReason.SAME_RECIPIENT_AGAIN, 554, "5.4.6", "Routing loop detected: was here before")


def judge_loop(facts: HeaderFacts, recipients: Iterable[str], received_limit: int, loop_key: bytes) -> Refusal | None:
    """Return why the message is a loop, or None."""
    if facts.received > received_limit:
        return _HOPS
    if facts.seen and any(
        mark(loop_key, message_id, address) in marks for message_id, marks in facts.seen for address in recipients
    ):
        return _AGAIN
    return None
