"""Finding the story of an id (I/O: SQL).

Owns: `trace`: the events of an id and of its family, that is the message it was split from or reports on, and those
that were made of it. A caller with domains sees the story of what has a sender or a recipient there, without the other
recipients.
On failure: ActionError for what is no id, or one that nobody has seen.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import Desk, NotFound, NotUnderstood, OutOfBounds
from services.console.answers.messages import Member
from services.console.held import HELD
from services.console.story.told import Told
from services.console.story.within import concerns, within
from services.console.tables import events, messages, quarantine
from shared.ids import parse_id

__all__ = ["FAMILY_LIMIT", "Member", "Trace", "trace"]

# A family may be large (a mailing list split over many hops); beyond this the first ones are shown.
FAMILY_LIMIT = 200
_GENERATIONS = 10


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known. family: each id with its parent (None for the first). is_cut: whether the family is larger.

    members: where each id of the family stands. held: those of which a copy is in quarantine now.
    leaves_out: whether recipients who are not of the caller's domains are left out.
    """

    id: str
    family: Mapping[str, str | None]
    events: tuple[Told, ...]
    is_cut: bool
    members: tuple[Member, ...] = ()
    held: tuple[str, ...] = ()
    leaves_out: bool = False


async def trace(desk: Desk, text: str) -> Trace:
    """Return the story of an id, as it stands in a reply, a log line or a Received field. Raises ActionError."""
    try:
        asked = parse_id(text.strip().strip("[]"))
    except ValueError as error:
        raise NotUnderstood(str(error)) from None
    async with desk.database.reading() as connection:
        family = await _family(connection, await _first(connection, asked))
        shown = list(family)[:FAMILY_LIMIT]
        if asked not in shown:
            shown.append(asked)
        found = await connection.execute(select(events).where(events.c.id.in_(shown)).order_by(events.c.at))
        told: Sequence[Told] = [_told(row) for row in found]
        members = await _members(connection, shown)
        copies = select(quarantine.c.id, quarantine.c.state).where(quarantine.c.id.in_(shown))
        held = {row.id for row in await connection.execute(copies) if row.state == HELD}
    if not told:
        raise NotFound(f"nothing is known of {asked}: no stage has told of it, or its events are not written yet")
    leaves_out = False
    if not desk.caller.sees_all:
        if not concerns(told, desk.caller.covers):
            raise OutOfBounds(f"{asked} is not of your domains")
        told, leaves_out = within(told, desk.caller.covers)
        seen = {event.id for event in told}
        leaves_out = leaves_out or any(name not in seen for name in shown)
        shown = [name for name in shown if name in seen or name == asked]
        members = [_of_caller(desk, member) for member in members if member.id in shown]
    return Trace(
        asked,
        {name: family.get(name) for name in shown},
        tuple(told),
        is_cut=len(family) > FAMILY_LIMIT,
        members=tuple(members),
        held=tuple(name for name in shown if name in held),
        leaves_out=leaves_out,
    )


async def _first(connection: AsyncConnection, asked: str) -> str:
    """Return the message that all of a family were made of."""
    first = asked
    for _ in range(_GENERATIONS):
        parent: str | None = await connection.scalar(select(messages.c.parent).where(messages.c.id == first))
        if parent is None:
            break
        first = parent
    return first


async def _family(connection: AsyncConnection, first: str) -> dict[str, str | None]:
    """Return the first and what was made of it, each with its parent; somewhat more than the limit at most."""
    family: dict[str, str | None] = {first: None}
    young = [first]
    while young and len(family) <= FAMILY_LIMIT:
        query = select(messages.c.id, messages.c.parent).where(messages.c.parent.in_(young)).order_by(messages.c.id)
        rows = (await connection.execute(query.limit(FAMILY_LIMIT + 1))).all()
        young = [row.id for row in rows if row.id not in family]
        family |= {row.id: row.parent for row in rows if row.id not in family}
    return family


async def _members(connection: AsyncConnection, names: Sequence[str]) -> list[Member]:
    columns = messages.c
    query = select(columns.id, columns.parent, columns.state, columns.recipients, columns.hop)
    rows = {row.id: Member(*row) for row in await connection.execute(query.where(columns.id.in_(names)))}
    return [rows[name] for name in names if name in rows]


def _of_caller(desk: Desk, member: Member) -> Member:
    own = [name for name in (member.recipients or "").split(", ") if name and desk.caller.covers(name)]
    return Member(member.id, member.parent, member.state, ", ".join(own) or None, member.hop)


def _told(row: Row[tuple[object, ...]]) -> Told:
    facts = json.loads(row.facts)
    return Told(row.id, row.at, row.stage, row.host, row.kind, facts)
