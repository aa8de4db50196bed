"""Finding messages and refused sessions, and the story of each."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import RedirectResponse

from services.console.actions.search import OUTCOMES, Search, find_messages, id_in
from services.console.actions.story import story_of
from services.console.actions.waiting import IN_DELIVERY
from services.console.identity.rights import Right
from services.console.story.told import Told
from services.console.web.cursor import decode_cursor
from services.console.web.moments import read_moment
from services.console.web.who import Visit, visiting

router = APIRouter()
_ROWS = 50
_HOPS_SHOWN = 5
_WAITING = frozenset(state.value for state in IN_DELIVERY)
Word = Annotated[str, Query(max_length=320)]
Time = Annotated[str, Query(max_length=30)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form says."""

    q: Annotated[str, Query(max_length=1000)] = ""
    address: Word = ""
    domain: Word = ""
    ip: Annotated[str, Query(max_length=64)] = ""
    subject: Word = ""
    outcome: Annotated[str, Query(max_length=20)] = ""
    listener: Annotated[str, Query(max_length=100)] = ""
    since: Time = ""
    until: Time = ""

    @property
    def search(self) -> Search:
        """What is looked for. Raises NotUnderstood for a time that is none."""
        return Search(
            self.q,
            self.address,
            self.domain,
            self.ip,
            self.subject,
            self.outcome,
            self.listener,
            read_moment(self.since),
            read_moment(self.until),
        )

    @property
    def query(self) -> str:
        """The form as it stands in a link."""
        return urlencode({name: value for name, value in asdict(self).items() if value})

    @property
    def has_filters(self) -> bool:
        """Whether anything but the one line is asked for."""
        return any(value for name, value in asdict(self).items() if name != "q")


@router.get("/messages")
async def find(
    wanted: Annotated[Wanted, Depends()],
    visit: Visit = visiting(Right.SEE),
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show what fits, the newest first; the story at once where an id is asked for."""
    found = await find_messages(visit.desk, wanted.search, cursor, _ROWS)
    named = id_in(wanted.q)
    if named and not wanted.has_filters and found.items:
        return RedirectResponse(f"/messages/{named}", 303)
    return visit.page(
        "messages/list.html",
        found=found.items,
        next=found.next,
        # A page that looked at all it may before it was full says how far back that was.
        looked_back=decode_cursor(found.next)[0] if found.next and len(found.items) < _ROWS else None,
        wanted=wanted,
        named=named,
        outcomes=list(OUTCOMES),
        is_later=bool(cursor),
    )


@router.get("/messages/{message_id}")
async def show(message_id: Annotated[str, Path(max_length=60)], visit: Visit = visiting(Right.SEE)) -> Response:
    """Tell the story of a message."""
    story = await story_of(visit.desk, message_id)
    waiting = {(member.hop, member.state): None for member in story.family if member.state in _WAITING}
    return visit.page(
        "messages/show.html",
        story=story,
        waiting=list(waiting)[:_HOPS_SHOWN],
        raw=[_raw(event) for event in story.events],
    )


def _raw(event: Told) -> str:
    return json.dumps(asdict(event), ensure_ascii=False, indent=1, default=str)
