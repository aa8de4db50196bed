"""Events of the trace: the newest as a list, or all as they are written.

Standards: server-sent events (WHATWG HTML §9.2).
"""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from services.console.actions.desk import Desk
from services.console.actions.live import LiveEvent, Wanted, follow, latest, may_listen, newest_uid
from services.console.identity.rights import Right
from services.console.web.cursor import Page
from services.console.web.who import at_desk

router = APIRouter(tags=["events"])
STREAM = "text/event-stream"
# A stream ends after so long: who listens on comes again with the last id, and a token that ended meanwhile does not.
LONGEST_S = 900
_SIGN_OF_LIFE_S = 15.0
_MOST = 1000
Word = Annotated[str, Query(max_length=320)]
Uid = Annotated[str, Query(max_length=40, pattern="^[0-9a-z]*$")]


@router.get("/events", response_model=Page[LiveEvent], responses={200: {"content": {STREAM: {}}}})
async def list_events(
    desk: Desk = at_desk(Right.SEE),
    address: Word = "",
    domain: Word = "",
    kind: Annotated[str, Query(max_length=40)] = "",
    id: Annotated[str, Query(max_length=40)] = "",  # noqa: A002 - as it is called everywhere
    after: Uid = "",
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
    seconds: Annotated[int, Query(ge=1, le=LONGEST_S, description="how long a stream lasts")] = LONGEST_S,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    last_event_id: Annotated[str, Header(max_length=40, pattern="^[0-9a-z]*$", include_in_schema=False)] = "",
) -> Page[LiveEvent] | Response:
    """List the newest events that are wanted, or those behind `after`; whoever accepts text/event-stream gets a stream.

    address: of a sender, a recipient, a login or a client; a message that was found once is followed to its end.
    """
    wanted = Wanted(address, domain, kind, id)
    if STREAM in accept.lower():
        # What would fail does so before the answer has begun.
        may_listen(desk)
        return StreamingResponse(_stream(desk, wanted, last_event_id or after, seconds), media_type=STREAM)
    found = await latest(desk, wanted, limit=limit, after=after)
    return Page(found, newest_uid(found, after) or None)


async def _stream(desk: Desk, wanted: Wanted, after: str, seconds: float) -> AsyncIterator[str]:
    ends_at = time.monotonic() + seconds
    said_at = time.monotonic()
    yield "retry: 2000\n\n"
    async for event in follow(desk, wanted, after=after):
        now = time.monotonic()
        if event is not None:
            yield f"id: {event.uid}\ndata: {json.dumps(asdict(event), default=str)}\n\n"
            said_at = now
        elif now - said_at > _SIGN_OF_LIFE_S:
            # A comment, so that nothing on the way takes the silence for the end.
            yield ": here\n\n"
            said_at = now
        if now >= ends_at:
            return
