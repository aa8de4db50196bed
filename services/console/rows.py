"""From a batch of events to table rows (PURE).

Owns: `State`, the one word that a list shows for an id; `event_rows`; `Summary`, an id's row folded from its events,
with the words that it is found by.
Input: the JSON of a batch as shared.event makes it. Facts are carried as they are: a kind or a fact that this version
does not know is kept for a later one to tell.
On failure: ValueError naming what is wrong with the batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pydantic_core import from_json, to_json

from services.console.words import ROW_LIMIT, words_of_mail

Json = object
TEXT_LIMIT = ROW_LIMIT
# A time beyond 2100 is none, and would not even print.
LAST_TIME = 4_102_444_800.0


class State(StrEnum):
    """Where a message has got to. The mail's way is over in the last seven, unless an administrator changes that."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    QUEUED = "queued"
    SPLIT = "split"
    RETRYING = "retrying"
    RELEASED = "released"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    DELETED = "deleted"
    DEFERRED = "deferred"
    REFUSED = "refused"


WAITING = (State.RECEIVED, State.ACCEPTED, State.QUEUED, State.RETRYING, State.RELEASED)

_STATE_OF = {
    "session-refused": State.REFUSED,
    "command-refused": State.REFUSED,
    "received": State.RECEIVED,
    "queued": State.QUEUED,
    "split": State.SPLIT,
    "retry": State.RETRYING,
    "delivered": State.DELIVERED,
    "failed": State.FAILED,
    "quarantined": State.QUARANTINED,
    "released": State.RELEASED,
    "deleted": State.DELETED,
}
# Those of which no id's row is made: they tell of a hop, not of a message.
_OF_NO_MESSAGE = frozenset({"hop", "tls-seen"})
# Mildest first, as shared.verdict.Action; the row shows the worst.
_SEVERITY = {name: rank for rank, name in enumerate(("accept", "tag", "quarantine", "refuse", "defer"))}


class EventRow(NamedTuple):
    """An event as its table holds it, in the order of its columns. facts: JSON text without NUL."""

    uid: str
    id: str
    at: float
    stage: str
    host: str
    kind: str
    facts: str


@dataclass(slots=True)
class Summary:
    """What the events of one id, so far, say about it; None: nothing. words: that it is found by (words.py)."""

    id: str
    first_seen: float
    last_seen: float
    listener: str | None = None
    client: str | None = None
    sender: str | None = None
    recipients: str | None = None
    subject: str | None = None
    size_bytes: int | None = None
    verdict: str | None = None
    state: str | None = None
    state_at: float | None = None
    parent: str | None = None
    hop: str | None = None
    not_before: float | None = None
    waits_for: str | None = None
    words: list[str] = field(default_factory=list)

    def reach(self, state: State, at: float, wait: "Wait | None" = None) -> None:
        """Take a state, and what is waited for in it, unless a later one is known."""
        if self.state_at is None or at >= self.state_at:
            self.state, self.state_at = state.value, at
            self.hop, self.not_before, self.waits_for = wait or NO_WAIT


class Wait(NamedTuple):
    """For which hop a message waits in delivery, until when (Unix seconds), and why."""

    hop: str | None
    not_before: float | None = None
    reason: str | None = None


NO_WAIT = Wait(None)


def event_rows(body: bytes, summaries: dict[str, Summary]) -> list[EventRow]:
    """Return the rows of a batch, and fold each event into the summary of its id. Raises ValueError."""
    batch = from_json(body, cache_strings="keys")
    if not isinstance(batch, list):
        raise ValueError("a batch of events is a JSON array")  # noqa: TRY004 - of the JSON, not of our types
    rows = []
    folds = []
    for item in batch:
        row, facts = _row(item)
        rows.append(row)
        folds.append(facts)
    # Only a batch that is whole counts: half of one would come again with the other half.
    for row, facts in zip(rows, folds, strict=True):
        _fold(row, facts, summaries)
    return rows


def _row(item: Json) -> tuple[EventRow, dict[str, Json]]:
    if not isinstance(item, dict):
        raise ValueError("an event is a JSON object")  # noqa: TRY004
    try:
        uid, message_id, at, stage = item["uid"], item["id"], item["at"], item["stage"]
        host, kind, facts = item["host"], item["kind"], item.get("facts") or {}
    except KeyError as missing:
        raise ValueError(f"an event without {missing}") from None
    if not isinstance(facts, dict) or not isinstance(at, int | float) or not 0 <= at < LAST_TIME:
        raise ValueError("an event whose facts are no object or whose time is no number")
    if not (_fits(uid, 40) and _fits(message_id, 40) and _fits(stage, 20) and _fits(kind, 40)):
        raise ValueError("an event whose uid, id, stage or kind is no short text")
    # JSON escapes NUL, which PostgreSQL's text cannot hold.
    return EventRow(uid, message_id, float(at), stage, clean(str(host)), kind, to_json(facts).decode()), facts


def _fits(value: Json, limit: int) -> bool:
    return isinstance(value, str) and len(value) <= limit and "\0" not in value


def _fold(row: EventRow, facts: dict[str, Json], summaries: dict[str, Summary]) -> None:
    at, kind = row.at, row.kind
    if kind in _OF_NO_MESSAGE:
        return
    summary = summaries.get(row.id)
    if summary is None:
        summary = summaries[row.id] = Summary(row.id, at, at)
    elif at < summary.first_seen:
        summary.first_seen = at
    elif at > summary.last_seen:
        summary.last_seen = at
    state = _STATE_OF.get(kind)
    if state is not None:
        summary.reach(state, at, _wait(facts) if kind == "retry" else None)
        if kind == "received":
            _fold_envelope(summary, facts)
        elif kind == "split":
            _fold_children(row, facts, summaries)
        elif state is State.REFUSED:
            _fold_refused(summary, facts)
    elif kind == "answered":
        summary.reach(_answered(facts), at)
    elif kind == "ordered":
        if facts.get("order") == "cancel":
            summary.reach(State.CANCELLED, at)
    elif kind == "judged":
        summary.verdict = _worst(facts.get("verdicts")) or summary.verdict
    elif kind == "banned":
        summary.client = client_address(facts.get("client"))
        _find_by(summary, facts, ())
    elif kind == "dsn-sent":
        report = _adopt(row, facts.get("dsn_id"), summaries)
        if report is not None:
            # Its row has no recipients, by which it is told from a part; it is found by them all the same.
            report.words += words_of_mail(None, _list(facts.get("to")), None, None, None)


def _fold_envelope(summary: Summary, facts: dict[str, Json]) -> None:
    summary.listener = _text(facts.get("listener"))
    summary.client = client_address(facts.get("client"))
    summary.sender = _text(facts.get("sender"))
    summary.recipients = _texts(facts.get("recipients"))
    summary.subject = _text(facts.get("subject"))
    size = facts.get("size_bytes")
    summary.size_bytes = size if isinstance(size, int) and 0 <= size < 1 << 31 else None
    _find_by(summary, facts, _list(facts.get("recipients")))


def _fold_refused(summary: Summary, facts: dict[str, Json]) -> None:
    summary.listener = _text(facts.get("listener"))
    summary.client = client_address(facts.get("client"))
    summary.sender = _text(facts.get("sender"))
    summary.recipients = _text(facts.get("recipient"))
    _find_by(summary, facts, _list(facts.get("recipient")))
    if _reply_class(facts) == "4":
        summary.state = State.DEFERRED.value


def _fold_children(row: EventRow, facts: dict[str, Json], summaries: dict[str, Summary]) -> None:
    parts = facts.get("into")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            child = _adopt(row, part.get("id"), summaries)
            if child is not None:
                child.recipients = _texts(part.get("recipients"))
                child.words += words_of_mail(None, _list(part.get("recipients")), None, None, None)
                child.reach(State.QUEUED, row.at, Wait(_text(part.get("hop"))))


def _find_by(summary: Summary, facts: dict[str, Json], recipients: Sequence[str]) -> None:
    text, subject, message_id = facts.get("sender"), facts.get("subject"), facts.get("message_id")
    login = facts.get("login")
    summary.words += words_of_mail(
        clean(text) if isinstance(text, str) else None,
        recipients,
        summary.client,
        clean(subject) if isinstance(subject, str) else None,
        clean(message_id) if isinstance(message_id, str) else None,
        login=clean(login) if isinstance(login, str) else None,
    )


def _list(values: Json) -> Sequence[str]:
    """Return a fact that is one text or a list of them, as they are looked for."""
    found = values if isinstance(values, list) else () if values is None else (values,)
    return [clean(value) for value in found if isinstance(value, str)]


def _wait(facts: dict[str, Json]) -> Wait:
    return Wait(_text(facts.get("hop")), unix_time(facts.get("not_before")), _text(facts.get("reason")))


def _adopt(row: EventRow, child_id: Json, summaries: dict[str, Summary]) -> Summary | None:
    if not isinstance(child_id, str) or not child_id or len(child_id) > 40 or "\0" in child_id or child_id == row.id:
        return None
    child = summaries.setdefault(child_id, Summary(child_id, row.at, row.at))
    child.parent = row.id
    return child


def _answered(facts: dict[str, Json]) -> State:
    return {"4": State.DEFERRED, "5": State.REFUSED}.get(_reply_class(facts), State.ACCEPTED)


def _reply_class(facts: dict[str, Json]) -> str:
    return str(facts.get("reply", ""))[:1]


def _worst(verdicts: Json) -> str | None:
    found = verdicts.values() if isinstance(verdicts, dict) else ()
    actions = [str(verdict.get("action")) for verdict in found if isinstance(verdict, dict)]
    return max((action for action in actions if action in _SEVERITY), key=_SEVERITY.__getitem__, default=None)


def client_address(client: Json) -> str | None:
    """Return the address of a client as the stages give it, text or a table with `address`."""
    return _text(client.get("address")) if isinstance(client, dict) else _text(client)


def _texts(values: Json) -> str | None:
    return clean(", ".join(map(str, values)))[:TEXT_LIMIT] if isinstance(values, list) else _text(values)


def _text(value: Json) -> str | None:
    return None if value is None else clean(value if isinstance(value, str) else str(value))[:TEXT_LIMIT]


def unix_time(value: Json) -> float | None:
    """Return a fact that is a time, or None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < LAST_TIME else None  # type: ignore[operator, arg-type]


def clean(text: str) -> str:
    """Return text that every database takes: no NUL, no lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def summaries_in_order(summaries: Iterable[Summary]) -> list[Summary]:
    """Return them by id: two recorders that lock rows in the same order never wait for each other in a circle."""
    return sorted(summaries, key=lambda summary: summary.id)
