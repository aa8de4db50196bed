"""Messages and refused sessions: finding them, and their stories."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.console.actions.desk import Desk
from services.console.actions.search import FoundMessage, Search, find_messages
from services.console.actions.story import Story, story_of
from services.console.identity.rights import Right
from services.console.web.cursor import LIMIT, Page
from services.console.web.who import at_desk

router = APIRouter(tags=["messages"])
Word = Annotated[str, Query(max_length=320)]
Moment = Annotated[float | None, Query(description="Unix seconds", ge=0, le=4e9)]


@router.get("/messages")
async def find(
    desk: Desk = at_desk(Right.SEE),
    q: Annotated[
        str, Query(max_length=1000, description="id, addresses, domains, IP addresses, words of the subject")
    ] = "",
    address: Word = "",
    domain: Word = "",
    ip: Annotated[str, Query(max_length=64)] = "",
    subject: Word = "",
    outcome: Annotated[str, Query(max_length=20, description="a state, or waiting")] = "",
    listener: Annotated[str, Query(max_length=100)] = "",
    since: Moment = None,
    until: Moment = None,
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 50,
) -> Page[FoundMessage]:
    """Find messages and refused sessions, the newest first; all that is asked for must hold.

    A page may have fewer items than `limit`, or none, and still a `next`: it looks at so many messages at most.
    """
    search = Search(q, address, domain, ip, subject, outcome, listener, since, until)
    return await find_messages(desk, search, cursor, limit)


@router.get("/messages/{message_id}")
async def show(message_id: Annotated[str, Path(max_length=60)], desk: Desk = at_desk(Right.SEE)) -> Story:
    """Tell what happened to a message: each stage, check and attempt, and how it ended or stands."""
    return await story_of(desk, message_id)
