"""Finding the story of an id (I/O: SQL).

Owns: `trace`: the events of an id and of its family, that is the message it was split from or reports on, and those
that were made of it.
On failure: ActionError for what is no id, or one that nobody has seen.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Row, select

from services.console.actions.desk import ActionError, Desk
from services.console.story.told import Told
from services.console.tables import events, messages
from shared.ids import parse_id

# A family may be large (a mailing list split over many hops); beyond this the first ones are shown.
FAMILY_LIMIT = 200
_GENERATIONS = 10


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known. family: each id with its parent (None for the first). is_cut: whether the family is larger."""

    id: str
    family: Mapping[str, str | None]
    events: tuple[Told, ...]
    is_cut: bool


async def trace(desk: Desk, text: str) -> Trace:
    """Return the story of an id, as it stands in a reply, a log line or a Received field. Raises ActionError."""
    try:
        asked = parse_id(text)
    except ValueError as error:
        raise ActionError(str(error)) from None
    async with desk.database.reading() as connection:
        first = asked
        for _ in range(_GENERATIONS):
            parent = await connection.scalar(select(messages.c.parent).where(messages.c.id == first))
            if parent is None:
                break
            first = parent
        family: dict[str, str | None] = {first: None}
        young = [first]
        while young and len(family) <= FAMILY_LIMIT:
            query = select(messages.c.id, messages.c.parent).where(messages.c.parent.in_(young)).order_by(messages.c.id)
            rows = (await connection.execute(query.limit(FAMILY_LIMIT + 1))).all()
            young = [row.id for row in rows if row.id not in family]
            family |= {row.id: row.parent for row in rows if row.id not in family}
        shown = list(family)[:FAMILY_LIMIT]
        if asked not in shown:
            shown.append(asked)
        found = await connection.execute(select(events).where(events.c.id.in_(shown)).order_by(events.c.at))
        told = tuple(map(_told, found))
    if not told:
        raise ActionError(f"nothing is known of {asked}: no stage has told of it, or its events are not written yet")
    return Trace(asked, {name: family.get(name) for name in shown}, told, is_cut=len(family) > FAMILY_LIMIT)


def _told(row: Row[tuple[object, ...]]) -> Told:
    facts = json.loads(row.facts)
    return Told(row.id, row.at, row.stage, row.host, row.kind, facts)
