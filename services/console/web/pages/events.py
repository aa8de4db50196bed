"""Events as they come: the newest of the trace, asked anew every few seconds."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response

from services.console.actions.desk import ActionError
from services.console.actions.live import LiveEvent, Wanted, latest
from services.console.identity.rights import Right
from services.console.web.who import Visit, visiting
from shared.event import EventKind

router = APIRouter()
_ROWS = 60
Word = Annotated[str, Query(max_length=320)]
Kind = Annotated[str, Query(max_length=40)]


@router.get("/events")
async def show(visit: Visit = visiting(Right.SEE), address: Word = "", domain: Word = "", kind: Kind = "") -> Response:
    """Show the newest events that are wanted."""
    events, error = await _newest(visit, address, domain, kind)
    asked = {"address": address.strip(), "domain": domain.strip(), "kind": kind}
    return visit.page(
        "events/show.html",
        status_code=422 if error else 200,
        events=events,
        error=error,
        kinds=[one.value for one in EventKind],
        query=urlencode({name: value for name, value in asked.items() if value}),
        **asked,
    )


@router.get("/events/live")
async def refresh(
    visit: Visit = visiting(Right.SEE), address: Word = "", domain: Word = "", kind: Kind = ""
) -> Response:
    """Give the rows for the page that is open."""
    events, _ = await _newest(visit, address, domain, kind)
    return visit.page("events/live.html", events=events)


async def _newest(visit: Visit, address: str, domain: str, kind: str) -> tuple[list[LiveEvent], str]:
    visit.desk.must_see_all("events")
    try:
        wanted = Wanted(address, domain, kind)
    except ActionError as error:
        return [], str(error)
    found = await latest(visit.desk, wanted, limit=_ROWS)
    return sorted(found, key=lambda event: (event.at, event.uid), reverse=True), ""
