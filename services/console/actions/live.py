"""Events as they are written (I/O: SQL).

Owns: reading on behind the last event that was read, and which events a listener wants.
The recorder may write events late and in another order than they happened, and neither database says which rows are
new without an index of its own. So each look goes over the keys of the last minute (the primary key begins with the
time) and takes those that were not there before; at most so many, and seldom where a look takes long: a flood costs
this view events, never the database its time. The trace misses none of them.
On failure: ActionError; OutOfBounds for whom domains bound, for an event may tell of several domains' recipients.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Row, select

from services.console.actions.desk import ActionError, Desk
from services.console.answers.live import LiveEvent
from services.console.story.tell import tell
from services.console.story.told import Told
from services.console.tables import events
from shared.address import AddressError, parse_domain
from shared.ids import make_id, parse_id

__all__ = ["LISTENERS", "LOOK_BACK_S", "PAUSE_S", "LiveEvent", "Wanted", "follow", "latest", "may_listen"]

LOOK_BACK_S = 60.0
PAUSE_S = 1.0
_KEYS = 5_000
# Of those that a filter is tried on.
_LOOKED_AT = 2_000
_FETCHED = 500
_FOLLOWED = 20_000
_SENTENCES = 3
_LATER_S = 86_400.0
LISTENERS = 20
_listening: set[object] = set()


@dataclass(slots=True)
class Wanted:
    """Which events are wanted; empty takes all. An id that was wanted once is followed to its end.

    Raises ActionError for a domain or an id that is none.
    """

    address: str = ""
    domain: str = ""
    kind: str = ""
    id: str = ""
    _followed: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self.domain = parse_domain(self.domain.strip()) if self.domain.strip() else ""
            self.id = parse_id(self.id) if self.id.strip() else ""
        except (AddressError, ValueError) as error:
            raise ActionError(str(error)) from None
        self.address = self.address.strip().lower()

    def takes(self, event: Told) -> bool:
        """Whether an event is wanted."""
        if self.id and event.id != self.id:
            return False
        if (self.address or self.domain) and not self._concerns(event):
            return False
        return not self.kind or event.kind == self.kind

    def _concerns(self, event: Told) -> bool:
        if event.id in self._followed:
            return True
        names = [name.lower() for name in _names(event.facts)]
        if not any(name == self.address or (self.domain and name.endswith(f"@{self.domain}")) for name in names):
            return False
        self._followed[event.id] = None
        if len(self._followed) > _FOLLOWED:
            del self._followed[next(iter(self._followed))]
        return True


def _names(facts: Mapping[str, object]) -> Iterator[str]:
    """Yield the addresses that an event names, of people and of clients."""
    for name in ("sender", "recipient", "recipients", "login", "to", "client", "from"):
        value = facts.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Mapping):
                yield str(one.get("address") or "")
            elif isinstance(one, str):
                yield one


async def latest(desk: Desk, wanted: Wanted, *, limit: int, after: str = "") -> list[LiveEvent]:
    """Return the newest events that are wanted, in the order of time; with a uid the first of those behind it."""
    desk.must_see_all("events")
    last = _ceiling(time.time())
    where = (events.c.uid > after) & (events.c.uid < last) if after else events.c.uid < last
    order = events.c.uid if after else events.c.uid.desc()
    query = select(events).where(where).order_by(order).limit(_LOOKED_AT if wanted != Wanted() else limit)
    async with desk.database.reading() as connection:
        rows = (await connection.execute(query)).all()
    # Followed from the oldest on, so that what came of a message that is wanted is found.
    found = [made for made in (_wanted(row, wanted) for row in (rows if after else rows[::-1])) if made is not None]
    return sorted(found[:limit] if after else found[-limit:], key=lambda event: (event.at, event.uid))


def may_listen(desk: Desk) -> None:
    """Raise OutOfBounds for whom domains bound, and ActionError where as many listen as there are places."""
    desk.must_see_all("events")
    if len(_listening) >= LISTENERS:
        raise ActionError(f"{LISTENERS} listen already: try again when one of them has gone")


def newest_uid(found: Iterable[LiveEvent], default: str = "") -> str:
    """Return behind which uid to go on after these (PURE)."""
    return max((event.uid for event in found), default=default)


async def follow(desk: Desk, wanted: Wanted, *, after: str = "") -> AsyncIterator[LiveEvent | None]:
    """Yield events as they are written, and None where a moment passed without. Raises ActionError for one too many.

    after: uid of the last one that the listener has; those behind it come first.
    """
    may_listen(desk)
    me = object()
    _listening.add(me)
    try:
        known = set(await _keys(desk, time.time()))
        for event in await latest(desk, wanted, limit=_FETCHED, after=after) if after else ():
            yield event
        while True:
            began = time.monotonic()
            keys = await _keys(desk, time.time())
            fresh = [uid for uid in keys if uid not in known]
            known = set(keys)
            for event in await _fetched(desk, fresh, wanted):
                yield event
            yield None
            await asyncio.sleep(max(PAUSE_S, 10 * (time.monotonic() - began)))
    finally:
        _listening.discard(me)


async def _keys(desk: Desk, now: float) -> list[str]:
    uid = events.c.uid
    since = now - LOOK_BACK_S
    query = select(uid).where(uid > make_id(int(since * 1000), 0), uid < _ceiling(now)).order_by(uid.desc())
    async with desk.database.reading() as connection:
        return list(await connection.scalars(query.limit(_KEYS)))


def _ceiling(now: float) -> str:
    # Behind all keys that are times: what the broker put into quarantine has none, and stands in the alerts.
    return make_id(int((now + _LATER_S) * 1000), 0)


async def _fetched(desk: Desk, uids: list[str], wanted: Wanted) -> list[LiveEvent]:
    made: list[LiveEvent] = []
    async with desk.database.reading() as connection:
        for first in range(0, len(uids), _FETCHED):
            chosen = events.c.uid.in_(uids[first : first + _FETCHED])
            rows = await connection.execute(select(events).where(chosen))
            found = sorted(rows.all(), key=lambda row: (row.at, row.uid))
            made += [event for event in (_wanted(row, wanted) for row in found) if event is not None]
    return sorted(made, key=lambda event: (event.at, event.uid))


def _wanted(row: Row[tuple[object, ...]], wanted: Wanted) -> LiveEvent | None:
    told = Told(row.id, row.at, row.stage, row.host, row.kind, json.loads(row.facts))
    if not wanted.takes(told):
        return None
    lines = tell([told])
    # A sentence that ends with a colon goes on in the lines below it.
    text = " ".join(line.text for line in lines[:_SENTENCES]) or row.kind
    return LiveEvent(row.uid, row.id, row.at, row.stage, row.host, row.kind, text, told.facts)
