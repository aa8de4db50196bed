"""The whole story of an id (PURE): events → lines in the order of time.

Output: `steps`, one for each event; `tell`, the same as lines; and `in_short`, its end in a few sentences: which rule
decided, on what evidence, who may do what now.
On failure: none; a kind that this version does not know is told by its name and its facts.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.console.story import content, delivery, edge, waiting
from services.console.story.conclusion import conclude
from services.console.story.told import Facts, Line, Told, show

_TELLERS: dict[str, Callable[[Facts], list[str]]] = {
    "session-refused": edge.session_refused,
    "banned": edge.banned,
    "command-refused": edge.command_refused,
    "received": edge.received,
    "answered": edge.answered,
    "checked": content.checked,
    "judged": content.judged,
    "dmarc-seen": content.dmarc_seen,
    "dropped": content.dropped,
    "queued": content.queued,
    "quarantined": content.quarantined,
    "retry": content.retry,
    "expanded": waiting.expanded,
    "split": delivery.split,
    "ordered": waiting.ordered,
    "attempt": delivery.attempt,
    "delivered": delivery.delivered,
    "failed": delivery.failed,
    "dsn-sent": delivery.dsn_sent,
    "dsn-withheld": delivery.dsn_withheld,
    "released": delivery.released,
    "deleted": delivery.deleted,
    "learned": content.learned,
    "hop": waiting.hop,
    "tls-seen": waiting.tls_seen,
}


@dataclass(frozen=True, slots=True)
class Step:
    """What one event says. at: Unix seconds. details: what belongs to its text."""

    at: float
    stage: str
    id: str
    kind: str
    text: str
    details: tuple[str, ...]


def steps(events: Iterable[Told]) -> list[Step]:
    """Return the story of events, of one id or of a family of them, in the order of time."""
    return [_step(event) for event in in_order(events)]


def tell(events: Iterable[Told]) -> list[Line]:
    """Return the same as lines."""
    return [line for step in steps(events) for line in _lines(step)]


def in_short(events: Iterable[Told]) -> list[str]:
    """Return how it ended or stands, in a few sentences."""
    return conclude(in_order(events))


def in_order(events: Iterable[Told]) -> Sequence[Told]:
    """Return events by time; two of the same moment stand in the order in which the way of a mail passes them."""
    places = {kind: place for place, kind in enumerate(_TELLERS)}
    return sorted(events, key=lambda event: (event.at, places.get(event.kind, len(places))))


def _step(event: Told) -> Step:
    teller = _TELLERS.get(event.kind)
    first, *details = teller(event.facts) if teller else _unknown(event)
    return Step(event.at, show(event.stage), event.id, event.kind, first, tuple(details))


def _lines(step: Step) -> list[Line]:
    first = Line(step.at, step.stage, step.id, step.text)
    return [first, *(Line(step.at, step.stage, step.id, detail, detail=True) for detail in step.details)]


def _unknown(event: Told) -> list[str]:
    facts = [f"{show(name)}: {show(_flat(value))}" for name, value in event.facts.items()]
    return [f"{show(event.kind)} (this version of Gatepost has no words for it)", *facts]


def _flat(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else value
