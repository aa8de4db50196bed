"""What waits in delivery, and how next hops are, as the trace tells it (I/O: SQL).

Owns: which rows of `messages` count as waiting, and which of them a target concerns. The trace runs seconds behind the
queues, and it lacks what the recorder has not written yet; a queue itself cannot be looked into without taking from it.
Whom domains bound sees mail from and to these domains alone, and no hops' states.
On failure: ActionError for what is no target; OutOfBounds.
"""

from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import ColumnElement, case, false, func, literal, literal_column, or_, select, true, tuple_

from services.console.actions.desk import Desk, NotUnderstood
from services.console.answers.queues import Destination, HopSeen, WaitingMail
from services.console.rows import State
from services.console.tables import hops, messages
from shared.order import By, OrderError, Target, parse_target

__all__ = [
    "IN_DELIVERY",
    "REASONS_SHOWN",
    "Destination",
    "Filter",
    "HopSeen",
    "WaitingMail",
    "concerned_by",
    "destinations",
    "hop_states",
    "waiting_mail",
    "within_bounds",
]

# In content, or on its way to it, is what has not been queued yet.
IN_DELIVERY = (State.QUEUED, State.RETRYING, State.RELEASED)
REASONS_SHOWN = 3
_columns = messages.c


@dataclass(frozen=True, slots=True)
class Filter:
    """Which waiting mail a list shows; None takes all. reason: a part of the text.

    waits_as: a state of mail that has no hop yet. behind: first_seen and id of the last message that was shown.
    """

    target: str | None = None
    domain: str | None = None
    hop: str | None = None
    reason: str | None = None
    limit: int = 50
    waits_as: str | None = None
    behind: tuple[float, str] | None = None


def concerned_by(target: Target) -> ColumnElement[bool]:
    """Return the condition on `messages` for waiting mail that a target concerns."""
    waits = _columns.state.in_([state.value for state in IN_DELIVERY])
    match target.by:
        case By.ALL:
            return waits
        case By.MESSAGE:
            # A part has recipients from the start; a report about the message has none.
            is_part = (_columns.parent == target.name) & _columns.recipients.is_not(None)
            return waits & ((_columns.id == target.name) | is_part)
        case By.HOP:
            return waits & (_columns.hop == target.name)
        case By.DOMAIN:
            return waits & _to_domain(target.name)
        case other:
            assert_never(other)


async def destinations(desk: Desk, wanted: Filter) -> list[Destination]:
    """Return what waits by next hop, the most first. Raises ActionError."""
    where = _where(desk, wanted)
    # Of what has no hop yet, the state says what it waits for.
    state = case((_columns.hop.is_(None), _columns.state), else_=literal_column("''")).label("waits_as")
    groups = (
        select(
            _columns.hop,
            state,
            func.count().label("messages"),
            func.min(_columns.first_seen).label("oldest"),
            func.min(_columns.not_before).label("next_try"),
        )
        .where(where)
        .group_by(_columns.hop, state)
        .order_by(func.count().desc(), _columns.hop)
        .limit(wanted.limit)
    )
    per_reason = (
        select(_columns.hop, state, _columns.waits_for, func.count().label("times"))
        .where(where, _columns.waits_for.is_not(None))
        .group_by(_columns.hop, state, _columns.waits_for)
        .subquery()
    )
    # In the database, for replies with ids in them may be as many as messages.
    place = func.row_number().over(
        partition_by=(per_reason.c.hop, per_reason.c.waits_as),
        order_by=(per_reason.c.times.desc(), per_reason.c.waits_for),
    )
    ranked = select(per_reason, place.label("place")).subquery()
    top = select(ranked).where(ranked.c.place <= REASONS_SHOWN).order_by(ranked.c.place)
    async with desk.database.reading() as connection:
        rows = (await connection.execute(groups)).all()
        reasons: dict[tuple[str | None, str], list[tuple[str, int]]] = {}
        for found in await connection.execute(top):
            reasons.setdefault((found.hop, found.waits_as), []).append((found.waits_for, found.times))
    return [
        Destination(
            row.hop,
            row.waits_as,
            row.messages,
            row.oldest,
            row.next_try,
            tuple(reasons.get((row.hop, row.waits_as), ())),
        )
        for row in rows
    ]


async def waiting_mail(desk: Desk, wanted: Filter) -> list[WaitingMail]:
    """Return the messages that wait, the oldest first. Raises ActionError."""
    where = _where(desk, wanted)
    if wanted.behind is not None:
        where &= tuple_(_columns.first_seen, _columns.id) > tuple_(*map(literal, wanted.behind))
    # What was split off knows its recipients alone.
    whole = messages.alias()
    query = (
        select(
            _columns.id,
            _columns.hop,
            _columns.state,
            _columns.first_seen,
            _columns.not_before,
            func.coalesce(_columns.sender, whole.c.sender).label("sender"),
            _columns.recipients,
            func.coalesce(_columns.subject, whole.c.subject).label("subject"),
            func.coalesce(_columns.size_bytes, whole.c.size_bytes).label("size_bytes"),
            _columns.waits_for,
        )
        .select_from(messages.outerjoin(whole, whole.c.id == _columns.parent))
        .where(where)
        .order_by(_columns.first_seen, _columns.id)
        .limit(wanted.limit)
    )
    async with desk.database.reading() as connection:
        rows = (await connection.execute(query)).all()
    return [
        WaitingMail(
            row.id,
            row.hop,
            row.state,
            row.first_seen,
            row.not_before,
            row.sender,
            row.recipients,
            row.subject,
            row.size_bytes,
            row.waits_for,
        )
        for row in rows
    ]


async def hop_states(desk: Desk) -> list[HopSeen]:
    """Return how hops were last seen, those in trouble first. Raises OutOfBounds."""
    desk.must_see_all("how next hops are")
    in_trouble = case((hops.c.state == "open", 1), else_=0)
    query = select(hops).order_by(in_trouble, hops.c.hop, hops.c.host)
    async with desk.database.reading() as connection:
        return [HopSeen(*row) for row in await connection.execute(query)]


def within_bounds(desk: Desk) -> ColumnElement[bool]:
    """Return the condition on `messages` for what the caller may see: mail from and to the caller's domains."""
    if desk.caller.domains is None:
        return true()
    sender = func.lower(_columns.sender)
    theirs = [
        _to_domain(domain) | sender.endswith(f"@{domain}", autoescape=True) for domain in sorted(desk.caller.domains)
    ]
    return or_(false(), *theirs)


def _where(desk: Desk, wanted: Filter) -> ColumnElement[bool]:
    try:
        where = concerned_by(parse_target(wanted.target) if wanted.target else Target(By.ALL)) & within_bounds(desk)
        for name, by in ((wanted.domain, By.DOMAIN), (wanted.hop, By.HOP)):
            if name is not None:
                target = parse_target(name)
                if target.by is not by:
                    raise OrderError(f"{name!r} is no {'domain' if by is By.DOMAIN else 'next hop'}")
                where &= concerned_by(target)
    except OrderError as error:
        raise NotUnderstood(str(error)) from None
    if wanted.waits_as is not None:
        where &= _columns.hop.is_(None) & (_columns.state == wanted.waits_as)
    return where & (_columns.waits_for.icontains(wanted.reason, autoescape=True) if wanted.reason else true())


def _to_domain(domain: str) -> ColumnElement[bool]:
    # Recipients stand with commas between; what is cut off a long list is not found.
    return (func.lower(_columns.recipients) + literal(",")).contains(f"@{domain.lower()},", autoescape=True)
